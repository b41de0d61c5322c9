"""Persons and their dated enrolments: identity, NC year by academic year, characteristics by field group."""
