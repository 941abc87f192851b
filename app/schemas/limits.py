"""Bounds that several parts share."""

MAX_WHOLE = 2**53  # beyond it float64, and a browser, cannot tell whole numbers apart
MAX_METRICS = 1000  # of one run
MAX_RACE = 50  # runs of one race
MAX_HIDDEN = 1000  # runs that the shared windows do not show
MAX_ADDED = MAX_RACE  # runs that they show besides the latest
MAX_CHOSEN = MAX_RACE  # runs that a person has chosen to be shown, and no others
MAX_PINNED = 24  # windows of metrics that are shown besides the first ones
MAX_SMOOTHING = 1_000_000  # steps of an exponential average
MAX_PARAMS = 100_000  # characters of JSON: a run is sent whole, again and again, to every open page
MAX_DEPTH = 20  # of JSON within JSON; beyond some 250 it could not be written any more
MAX_RESULTS = 1000  # entries of a result, and of a summary
MAX_AT_ONCE = 1000  # runs that one request stops, deletes or restores
MAX_TIME = 253_402_300_799  # seconds since 1970: until the year 9999
MAX_TAGS = 50  # of one run
MAX_NOTES = 10_000  # characters

# Of a body of JSON, in bytes
MAX_BODY_BYTES = 256 << 10
MAX_DATA_BYTES = 64 << 20  # with data or points: a million pairs in all their digits are up to 52 MB
MAX_RESULT_BYTES = 8 << 20  # with results or a summary, which are up to 1,000 texts of 2,000 characters
# Of what is larger than MAX_BODY_BYTES: a list costs a hundred times its two bytes, an unknown entry a thousand bytes.
MAX_PARTS = 100_000  # lists, objects and entries
MAX_VALUES = 2_250_000  # commas: two million numbers, and what stands beside them
