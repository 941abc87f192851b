"""Boards, browsers and fakes that tests and benchmarks share."""
