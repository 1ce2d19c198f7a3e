ALTER TABLE `sessions` ADD `roles` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
UPDATE `sessions` SET `roles` = (SELECT `roles` FROM `users` WHERE `users`.`id` = `sessions`.`user_id`);
