-- Roots below this number were dropped. What is left of their leaves goes bit by bit.
CREATE TABLE floor (root_no BIGINT NOT NULL);
INSERT INTO floor VALUES (1);
