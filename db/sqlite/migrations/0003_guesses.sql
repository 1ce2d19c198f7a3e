CREATE TABLE `guesses` (
	`key` text PRIMARY KEY NOT NULL,
	`forgotten_at` integer NOT NULL,
	`opens_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `guesses_forgotten_at` ON `guesses` (`forgotten_at`);--> statement-breakpoint
CREATE TABLE `known_pairs` (
	`key` text PRIMARY KEY NOT NULL,
	`until` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `known_pairs_until` ON `known_pairs` (`until`);--> statement-breakpoint
CREATE TABLE `request_counts` (
	`key` text PRIMARY KEY NOT NULL,
	`count` integer NOT NULL,
	`until` integer NOT NULL,
	CONSTRAINT "request_counts_count" CHECK("request_counts"."count" >= 1)
) STRICT;
--> statement-breakpoint
CREATE INDEX `request_counts_until` ON `request_counts` (`until`);