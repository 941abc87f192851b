"""The checksum of TFRecords: CRC-32C, rotated and shifted by a constant."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, with the lowest bit first


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ _POLYNOMIAL * (byte & 1)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def masked_crc(data: bytes) -> int:
    """The masked CRC-32C of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
