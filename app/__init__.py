"""TenDays: the plumbing of modern work experience. This is the map of the house.

A room knows only the rooms below it; nothing calls upward: the later room acts. The order is checked by machine
(`[tool.importlinter]` in pyproject.toml).

    cli                       the command `tendays`
    running, published        everything side by side; the published contract as files
    main : worker             the API application; the worker: sequencer, webhooks, chores
    checks                    what has to hold before API and worker start
    settings                  what can be set, read by those above only
    rest | graphql | demo     the faces: translate, nothing else; the demonstration and the story
    privacy                   (reserved) reaches everything it must erase
    dashboards                figures for hubs, trusts and schools
    roster                    (reserved) rosters from an MIS
    webhooks                  endpoints, deliveries, the sender
    access                    clients, tokens, scopes, rate limits
    idempotency               recorded answers of POSTs
    encounters                what happened: arrivals, attendance, no-shows, encounters, criteria
    bookings                  what is agreed: requests, moves, named pupils
    ledger                    minutes earned, append-only; balances and summaries
    offers                    offers, slots, sittings; the table that schools search
    students                  persons and their enrolments
    employers                 sites, contacts, cover, approvals, suspensions
    programmes                pilots, strands, targets, money
    organisations             hubs, trusts, schools; memberships, agreements, grants
    outbox | disclosures      what the house announces; what left a school's tenant
    core | rules              the floor: database doors, errors, clocks, egress; and the statute book

In a room: `service` (what may happen, and what is announced) over `sql` (every statement) over `tables`.
Writes go face > service > (rules, sql) > tables; reads go face > sql. Start reading at `rules/booking.py`
(the law), then `bookings/service.py` (a room), `rest/bookings.py` (its face) and `rest/frame.py` (what every
route has in common); `core/db.py` is the door to Postgres, and `migrations/` what is behind it.
"""
