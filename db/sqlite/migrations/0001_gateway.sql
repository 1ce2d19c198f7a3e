CREATE TABLE `clients` (
	`id` text PRIMARY KEY NOT NULL,
	`secret_hash` text NOT NULL,
	`created_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `status_lists` (
	`id` text PRIMARY KEY NOT NULL,
	`seed` blob NOT NULL,
	`issued` integer NOT NULL,
	`closes_at` integer NOT NULL,
	`retires_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `revoked_statuses` (
	`list` text NOT NULL,
	`index` integer NOT NULL,
	PRIMARY KEY(`list`, `index`),
	FOREIGN KEY (`list`) REFERENCES `status_lists`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
ALTER TABLE `revocations` ADD `kind` text DEFAULT 'sid' NOT NULL CONSTRAINT "revocations_kind" CHECK("kind" in ('jti', 'sid', 'kid'));--> statement-breakpoint
ALTER TABLE `sessions` ADD `status_entries` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `signing_keys` ADD `signs_from` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `signing_keys` ADD `retires_at` integer;
