CREATE TABLE `freed_names` (
	`key` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`until` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `freed_names_until` ON `freed_names` (`until`);