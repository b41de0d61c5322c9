-- Either side closes an occurrence that does not take place; the booking's history names it, who closed it, and why.
ALTER TABLE booking_moves ADD COLUMN sitting_id UUID;
ALTER TABLE booking_moves DROP CONSTRAINT ck_booking_moves_action_known;
ALTER TABLE booking_moves ADD CONSTRAINT ck_booking_moves_action_known CHECK (action IN ('request', 'join_waiting_list', 'promote', 'counter', 'accept_counter', 'confirm', 'decline', 'cancel', 'expire', 'hold', 'release', 'reschedule', 'accept_proposal', 'decline_proposal', 'withdraw_proposal', 'end_proposal', 'complete', 'assign', 'close_sitting'));
