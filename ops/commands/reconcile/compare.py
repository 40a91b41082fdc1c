"""The comparison of the application's records with Customer.io's people, in SQL."""

from ops.scratch_tables import Tables

RECORD_COLUMNS = {
    "line": "INTEGER",
    "id": "STRING",
    "state": "STRING",
    "email": "STRING",
    "version": "INTEGER",
    "data": "STRING",
}
WANTED_COLUMNS = {
    "line": "INTEGER",
    "name": "STRING",
    "value": "STRING",
    "alternate": "STRING",
    "is_consent": "BOOLEAN",
    "opts_out": "BOOLEAN",
}
PERSON_COLUMNS = {"person": "INTEGER", "id": "STRING", "email": "STRING", "cio_id": "STRING", "raw": "STRING"}
FOUND_COLUMNS = {"person": "INTEGER", "name": "STRING", "value": "STRING"}

# Of several rows about one user the newest counts, as it does for sync.
_LATEST = """
SELECT * FROM {rows} WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY version DESC NULLS LAST, line DESC) = 1
"""
_MISSING = """
SELECT records.id, records.line FROM {records} AS records LEFT JOIN {people} AS people ON people.id = records.id
WHERE records.state = 'present' AND people.id IS NULL
"""
# A user who wants nothing is suppressed, and must not be there at all.
_DIFFERENCES = """
SELECT
  records.id, records.line,
  ARRAY_AGG(wanted.name ORDER BY wanted.name) AS names,
  COUNTIF(wanted.is_consent) AS consents,
  COUNTIF(NOT wanted.is_consent) AS others,
  LOGICAL_OR(wanted.opts_out) AS opted_out
FROM {records} AS records
JOIN {people} AS people ON people.id = records.id
JOIN {wanted} AS wanted ON wanted.line = records.line
LEFT JOIN {found} AS found ON found.person = people.person AND found.name = wanted.name
WHERE records.state = 'present'
  AND COALESCE(found.value, '') NOT IN (wanted.value, COALESCE(wanted.alternate, wanted.value))
GROUP BY records.id, records.line
UNION ALL
SELECT records.id, records.line, ['suppressed'], 1, 0, TRUE
FROM {records} AS records JOIN {people} AS people ON people.id = records.id
WHERE records.state = 'suppressed'
"""
# The twin of an orphan is the one record that has its address.
_ORPHANS = """
SELECT
  people.id, people.email, people.cio_id, records.line,
  COALESCE(people.id, people.email, CONCAT('cio_id:', people.cio_id)) AS label,
  records.state IS NOT NULL AS is_deleted,
  IF(records.state IS NULL AND twins.count = 1, twins.id, NULL) AS twin,
  IF(records.state IS NULL, COALESCE(twins.count, 0), 0) AS twins
FROM {people} AS people
LEFT JOIN {records} AS records ON records.id = people.id
LEFT JOIN (
  SELECT email, MIN(id) AS id, COUNT(*) AS count FROM {records}
  WHERE state = 'present' AND email IS NOT NULL GROUP BY email
) AS twins ON twins.email = people.email
WHERE records.id IS NULL OR records.state = 'deleted'
"""
_CONFLICTS = """
SELECT email, ARRAY_AGG(COALESCE(id, CONCAT('cio_id:', cio_id)) ORDER BY id, cio_id) AS ids, 'people' AS side
FROM {people} WHERE email IS NOT NULL GROUP BY email HAVING COUNT(*) > 1
UNION ALL
SELECT email, ARRAY_AGG(id ORDER BY id) AS ids, 'records' AS side
FROM {records} WHERE state = 'present' AND email IS NOT NULL GROUP BY email HAVING COUNT(*) > 1
"""


def compare(tables: Tables) -> None:
    """Make the tables of what differs out of those that were loaded: rows, wanted, people, found."""
    tables.create("records", _LATEST)
    for name, sql in (
        ("missing", _MISSING),
        ("differences", _DIFFERENCES),
        ("orphans", _ORPHANS),
        ("conflicts", _CONFLICTS),
    ):
        tables.create(name, sql)
