CREATE TABLE "audit_anchor" (
	"id" bigint PRIMARY KEY NOT NULL,
	"sequence" bigint NOT NULL,
	"hash" "bytea" NOT NULL,
	CONSTRAINT "audit_anchor_is_one" CHECK ("audit_anchor"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"sequence" bigint PRIMARY KEY NOT NULL,
	"at" bigint NOT NULL,
	"event" text collate "C" NOT NULL,
	"outcome" text collate "C" NOT NULL,
	"actor_kind" text collate "C" NOT NULL,
	"actor_id" text collate "C",
	"subject" text collate "C",
	"session" text collate "C",
	"target" text collate "C",
	"ip" text collate "C",
	"user_agent" text collate "C",
	"request_id" text collate "C",
	"details" text collate "C",
	"hash" "bytea" NOT NULL,
	CONSTRAINT "audit_events_actor_kind" CHECK ("audit_events"."actor_kind" in ('anonymous', 'user', 'client', 'cli', 'service')),
	CONSTRAINT "audit_events_hash_is_sha_256" CHECK (length("audit_events"."hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "audit_inbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_inbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"event" text collate "C" NOT NULL,
	CONSTRAINT "audit_inbox_actor_kind" CHECK ("audit_inbox"."event" ~ '"actorKind":"(anonymous|user|client|cli|service)"')
);
--> statement-breakpoint
CREATE TABLE "clients" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"secret_hash" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "freed_names" (
	"key" text collate "C" PRIMARY KEY NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "guesses" (
	"key" text collate "C" PRIMARY KEY NOT NULL,
	"forgotten_at" bigint NOT NULL,
	"opens_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "heads" (
	"name" text collate "C" PRIMARY KEY NOT NULL,
	"value" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "instances" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"beat" bigint NOT NULL,
	"known" bigint NOT NULL,
	"lease" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"name" text collate "C" PRIMARY KEY NOT NULL,
	"due_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "known_pairs" (
	"key" text collate "C" PRIMARY KEY NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "probe" (
	"id" bigint PRIMARY KEY NOT NULL,
	"written_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "request_counts" (
	"key" text collate "C" PRIMARY KEY NOT NULL,
	"count" bigint NOT NULL,
	"until" bigint NOT NULL,
	CONSTRAINT "request_counts_count" CHECK ("request_counts"."count" >= 1)
);
--> statement-breakpoint
CREATE TABLE "revocations" (
	"sequence" bigint PRIMARY KEY NOT NULL,
	"revoked_id" text collate "C" NOT NULL,
	"until" bigint NOT NULL,
	"kind" text collate "C" DEFAULT 'sid' NOT NULL,
	CONSTRAINT "revocations_revoked_id" UNIQUE("revoked_id"),
	CONSTRAINT "revocations_kind" CHECK ("revocations"."kind" in ('jti', 'sid', 'kid'))
);
--> statement-breakpoint
CREATE TABLE "revoked_statuses" (
	"list" text collate "C" NOT NULL,
	"index" bigint NOT NULL,
	CONSTRAINT "revoked_statuses_list_index_pk" PRIMARY KEY("list","index")
);
--> statement-breakpoint
CREATE TABLE "service_state" (
	"name" text collate "C" PRIMARY KEY NOT NULL,
	"value" text collate "C" NOT NULL,
	"recorded_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"generation" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"last_used_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"access_expires_at" bigint NOT NULL,
	"ip" text collate "C" NOT NULL,
	"user_agent" text collate "C",
	"status_entries" text collate "C" DEFAULT '[]' NOT NULL,
	"roles" text collate "C" DEFAULT '[]' NOT NULL,
	CONSTRAINT "sessions_generation_counts_up" CHECK ("sessions"."generation" >= 0)
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"kid" text collate "C" PRIMARY KEY NOT NULL,
	"algorithm" text collate "C" NOT NULL,
	"public_key" text collate "C" NOT NULL,
	"private_key" "bytea" NOT NULL,
	"created_at" bigint NOT NULL,
	"signs_from" bigint DEFAULT 0 NOT NULL,
	"retires_at" bigint
);
--> statement-breakpoint
CREATE TABLE "status_lists" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"seed" "bytea" NOT NULL,
	"issued" bigint NOT NULL,
	"closes_at" bigint NOT NULL,
	"retires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"username" text collate "C",
	"username_key" text collate "C",
	"email" text collate "C",
	"name" text collate "C",
	"password_hash" text collate "C" NOT NULL,
	"password_changed_at" bigint NOT NULL,
	"roles" text collate "C" NOT NULL,
	"disabled" boolean NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "users_username_key" UNIQUE("username_key"),
	CONSTRAINT "users_email" UNIQUE("email"),
	CONSTRAINT "users_have_a_name" CHECK ("users"."username_key" is not null or "users"."email" is not null),
	CONSTRAINT "users_username_has_a_key" CHECK (("users"."username" is null) = ("users"."username_key" is null)),
	CONSTRAINT "users_roles_are_a_list" CHECK ("users"."roles" like '[%]'),
	CONSTRAINT "users_disabled_is_boolean" CHECK ("users"."disabled" is not null)
);
--> statement-breakpoint
ALTER TABLE "revoked_statuses" ADD CONSTRAINT "revoked_statuses_list_status_lists_id_fk" FOREIGN KEY ("list") REFERENCES "status_lists"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_events_subject" ON "audit_events" USING btree ("subject") WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX "audit_events_session" ON "audit_events" USING btree ("session") WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX "audit_events_request_id" ON "audit_events" USING btree ("request_id") WHERE event <> 'refreshed';--> statement-breakpoint
CREATE INDEX "audit_events_target" ON "audit_events" USING btree ("target") WHERE target is not null;--> statement-breakpoint
CREATE INDEX "freed_names_until" ON "freed_names" USING btree ("until");--> statement-breakpoint
CREATE INDEX "guesses_forgotten_at" ON "guesses" USING btree ("forgotten_at");--> statement-breakpoint
CREATE INDEX "known_pairs_until" ON "known_pairs" USING btree ("until");--> statement-breakpoint
CREATE INDEX "request_counts_until" ON "request_counts" USING btree ("until");--> statement-breakpoint
CREATE INDEX "revocations_until" ON "revocations" USING btree ("until");--> statement-breakpoint
CREATE INDEX "sessions_user_id" ON "sessions" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "users_created_at" ON "users" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "users_active_admins" ON "users" USING btree ("id") WHERE strpos(roles, '"admin"') > 0 and not disabled;--> statement-breakpoint
-- Room for the newer versions of rows that change all the time, and frequent cleaning (db/postgres/tables.ts).
ALTER TABLE "sessions" SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
ALTER TABLE "guesses" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
ALTER TABLE "request_counts" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
ALTER TABLE "status_lists" SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE "heads" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
ALTER TABLE "instances" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);--> statement-breakpoint
INSERT INTO "heads" ("name", "value") VALUES ('revocations', 0), ('keys', 0), ('status', 0);--> statement-breakpoint
INSERT INTO "audit_anchor" ("id", "sequence", "hash") VALUES (1, 0, decode(repeat('00', 32), 'hex'));--> statement-breakpoint
CREATE FUNCTION "audit_events_grow_at_the_end"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.sequence IS DISTINCT FROM coalesce((SELECT max(sequence) FROM audit_events), (SELECT sequence FROM audit_anchor)) + 1 THEN
		RAISE EXCEPTION 'the audit log grows at its end, without gaps';
	END IF;
	RETURN new;
END $$;--> statement-breakpoint
CREATE FUNCTION "audit_events_go_from_the_beginning"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF old.sequence > (SELECT sequence FROM audit_anchor) THEN
		RAISE EXCEPTION 'the audit log shrinks at its beginning, behind its anchor';
	END IF;
	RETURN old;
END $$;--> statement-breakpoint
CREATE FUNCTION "audit_anchor_moves_on"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM audit_events WHERE sequence = new.sequence AND hash = new.hash) THEN
		RAISE EXCEPTION 'the anchor of the audit log is one of its events';
	END IF;
	RETURN new;
END $$;--> statement-breakpoint
CREATE FUNCTION "audit_does_not_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit log does not change, and has one anchor';
END $$;--> statement-breakpoint
CREATE TRIGGER "audit_events_grow_at_the_end" BEFORE INSERT ON "audit_events" FOR EACH ROW EXECUTE FUNCTION audit_events_grow_at_the_end();--> statement-breakpoint
CREATE TRIGGER "audit_events_stay" BEFORE UPDATE ON "audit_events" FOR EACH ROW EXECUTE FUNCTION audit_does_not_change();--> statement-breakpoint
CREATE TRIGGER "audit_events_go_from_the_beginning" BEFORE DELETE ON "audit_events" FOR EACH ROW EXECUTE FUNCTION audit_events_go_from_the_beginning();--> statement-breakpoint
CREATE TRIGGER "audit_anchor_moves_on" BEFORE UPDATE ON "audit_anchor" FOR EACH ROW EXECUTE FUNCTION audit_anchor_moves_on();--> statement-breakpoint
CREATE TRIGGER "audit_anchor_stays" BEFORE INSERT OR DELETE ON "audit_anchor" FOR EACH ROW EXECUTE FUNCTION audit_does_not_change();--> statement-breakpoint
CREATE TRIGGER "audit_events_are_not_emptied" BEFORE TRUNCATE ON "audit_events" FOR EACH STATEMENT EXECUTE FUNCTION audit_does_not_change();
