-- What a sender put beside the body, as JSON; null when that is nothing.
ALTER TABLE queue_bodies ADD COLUMN properties TEXT;
