"""CRC-32C, the checksum of TFRecord files, by NumPy: Python's library has only the other CRC-32."""

from functools import lru_cache

import numpy as np

POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed
ONES = 0xFFFFFFFF


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of `data`.

    A CRC is linear: that of two halves is that of the first, moved on by the second's length, XOR the second's. So all
    words are taken at once, then pairs of words, pairs of pairs and so on: log2(n) steps for n words.
    """
    size = len(data)
    padded = np.zeros(-(-size // 4) * 4, dtype=np.uint8)  # zeros in front change nothing, as the state begins with 0
    padded[len(padded) - size :] = np.frombuffer(data, dtype=np.uint8)
    parts = padded.view("<u4").astype(np.uint32)
    parts = _moved_on(parts, 2)
    doublings = 2  # each part stands for 2**doublings bytes
    while len(parts) > 1:
        if len(parts) % 2:
            parts = np.concatenate([np.zeros(1, dtype=np.uint32), parts])
        parts = _moved_on(parts[::2], doublings) ^ parts[1::2]
        doublings += 1
    begin = np.array([ONES], dtype=np.uint32)  # what the state really begins with, moved on by all bytes
    for bit in range(size.bit_length()):
        if size >> bit & 1:
            begin = _moved_on(begin, bit)
    return int(begin[0]) ^ (int(parts[0]) if size else 0) ^ ONES


def _moved_on(states: np.ndarray, doublings: int) -> np.ndarray:
    """The states after 2**doublings more bytes of 0."""
    table = _table(doublings)
    octets = states.astype("<u4", order="C").view(np.uint8).reshape(-1, 4)
    return table[0][octets[:, 0]] ^ table[1][octets[:, 1]] ^ table[2][octets[:, 2]] ^ table[3][octets[:, 3]]


@lru_cache(maxsize=64)
def _table(doublings: int) -> np.ndarray:
    """4 x 256: what each value of each byte of a state becomes after 2**doublings bytes of 0."""
    states = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], dtype=np.uint32)
    if doublings:
        return _moved_on(_moved_on(states.ravel(), doublings - 1), doublings - 1).reshape(4, 256)
    for _ in range(8):
        states = np.where(states & 1, states >> 1 ^ np.uint32(POLYNOMIAL), states >> 1)
    return states
