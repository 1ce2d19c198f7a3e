CREATE TABLE `probe` (
	`id` integer PRIMARY KEY NOT NULL,
	`written_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `revocations` (
	`sequence` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`revoked_id` text NOT NULL,
	`until` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `revocations_revoked_id` ON `revocations` (`revoked_id`);--> statement-breakpoint
CREATE INDEX `revocations_until` ON `revocations` (`until`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`generation` integer NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`access_expires_at` integer NOT NULL,
	`ip` text NOT NULL,
	`user_agent` text,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "sessions_generation_counts_up" CHECK("sessions"."generation" >= 0)
) STRICT;
--> statement-breakpoint
CREATE INDEX `sessions_user_id` ON `sessions` (`user_id`);--> statement-breakpoint
CREATE INDEX `sessions_expires_at` ON `sessions` (`expires_at`);--> statement-breakpoint
CREATE TABLE `signing_keys` (
	`kid` text PRIMARY KEY NOT NULL,
	`algorithm` text NOT NULL,
	`public_key` text NOT NULL,
	`private_key` blob NOT NULL,
	`created_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`username` text,
	`username_key` text,
	`email` text,
	`name` text,
	`password_hash` text NOT NULL,
	`password_changed_at` integer NOT NULL,
	`roles` text NOT NULL,
	`disabled` integer NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "users_have_a_name" CHECK("users"."username_key" is not null or "users"."email" is not null),
	CONSTRAINT "users_username_has_a_key" CHECK(("users"."username" is null) = ("users"."username_key" is null)),
	CONSTRAINT "users_roles_are_a_list" CHECK(json_type("users"."roles") = 'array'),
	CONSTRAINT "users_disabled_is_boolean" CHECK("users"."disabled" in (0, 1))
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `users_username_key` ON `users` (`username_key`);--> statement-breakpoint
CREATE UNIQUE INDEX `users_email` ON `users` (`email`);--> statement-breakpoint
CREATE INDEX `users_created_at` ON `users` (`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `users_active_admins` ON `users` (`id`) WHERE instr(roles, '"admin"') and not disabled;