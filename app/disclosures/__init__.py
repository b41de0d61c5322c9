"""What left a school's own tenant: who saw which fields of which pupil, when, and under which grant or release."""
