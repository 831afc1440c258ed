-- Accepted packs, kept for a while. `place` is the time of acceptance in milliseconds, times 2^20, plus the pack's number
-- within that millisecond: packs lie in the order of time, and a window of time is a range of rows. `sum` counts the
-- bytes kept up to and with this row, so that the size of what lies between two rows is one subtraction.
CREATE TABLE archive (place INTEGER PRIMARY KEY, sum INTEGER NOT NULL, pack BLOB NOT NULL);
