CREATE TABLE `audit_anchor` (
	`id` integer PRIMARY KEY NOT NULL,
	`sequence` integer NOT NULL,
	`hash` blob NOT NULL,
	CONSTRAINT "audit_anchor_is_one" CHECK("audit_anchor"."id" = 1)
) STRICT;
--> statement-breakpoint
CREATE TABLE `audit_events` (
	`sequence` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`event` text NOT NULL,
	`outcome` text NOT NULL,
	`actor_kind` text NOT NULL,
	`actor_id` text,
	`subject` text,
	`session` text,
	`target` text,
	`ip` text,
	`user_agent` text,
	`request_id` text,
	`details` text,
	`hash` blob NOT NULL,
	CONSTRAINT "audit_events_actor_kind" CHECK("audit_events"."actor_kind" in ('anonymous', 'user', 'client', 'cli', 'service')),
	CONSTRAINT "audit_events_hash_is_sha_256" CHECK(length("audit_events"."hash") = 32)
) STRICT;
--> statement-breakpoint
CREATE INDEX `audit_events_subject` ON `audit_events` (`subject`) WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX `audit_events_session` ON `audit_events` (`session`) WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX `audit_events_request_id` ON `audit_events` (`request_id`) WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX `audit_events_target` ON `audit_events` (`target`) WHERE target is not null;--> statement-breakpoint
INSERT INTO `audit_anchor` VALUES (1, 0, zeroblob(32));--> statement-breakpoint
CREATE TRIGGER `audit_events_grow_at_the_end` BEFORE INSERT ON `audit_events`
WHEN new.sequence IS NOT coalesce((SELECT max(sequence) FROM audit_events), (SELECT sequence FROM audit_anchor)) + 1
BEGIN SELECT raise(abort, 'the audit log grows at its end, without gaps'); END;--> statement-breakpoint
CREATE TRIGGER `audit_events_stay` BEFORE UPDATE ON `audit_events`
BEGIN SELECT raise(abort, 'the audit log does not change'); END;--> statement-breakpoint
CREATE TRIGGER `audit_events_go_from_the_beginning` BEFORE DELETE ON `audit_events`
WHEN old.sequence > (SELECT sequence FROM audit_anchor)
BEGIN SELECT raise(abort, 'the audit log shrinks at its beginning, behind its anchor'); END;--> statement-breakpoint
CREATE TRIGGER `audit_anchor_moves_on` BEFORE UPDATE ON `audit_anchor`
WHEN NOT EXISTS (SELECT 1 FROM audit_events WHERE sequence = new.sequence AND hash = new.hash)
BEGIN SELECT raise(abort, 'the anchor of the audit log is one of its events'); END;--> statement-breakpoint
CREATE TRIGGER `audit_anchor_stays` BEFORE DELETE ON `audit_anchor`
BEGIN SELECT raise(abort, 'the audit log has an anchor'); END;--> statement-breakpoint
CREATE TRIGGER `audit_anchor_is_not_replaced` BEFORE INSERT ON `audit_anchor`
BEGIN SELECT raise(abort, 'the audit log has an anchor'); END;
