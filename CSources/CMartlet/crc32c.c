#include "cmartlet_log.h"

#include <stdbool.h>
#include <string.h>

/* Reflected polynomial of CRC-32C (RFC 3720, appendix B.4). */
static const uint32_t POLYNOMIAL = 0x82f63b78;

static uint32_t table[256];
static bool hardware;

__attribute__((constructor)) static void prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest & 1 ? rest >> 1 ^ POLYNOMIAL : rest >> 1;
        table[byte] = rest;
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    hardware = __builtin_cpu_supports("sse4.2");
#endif
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at, uint64_t length) {
    uint64_t rest = crc;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        rest = __builtin_ia32_crc32di(rest, word);
    }
    uint32_t tail = (uint32_t)rest;
    while (length--) tail = __builtin_ia32_crc32qi(tail, *at++);
    return tail;
}
#endif

uint32_t cm_crc32c(uint32_t crc, const void *bytes, uint64_t length) {
    const uint8_t *at = bytes;
    crc = ~crc;
#if defined(__x86_64__)
    if (hardware) return ~by_instruction(crc, at, length);
#endif
    while (length--) crc = crc >> 8 ^ table[(uint8_t)crc ^ *at++];
    return ~crc;
}
