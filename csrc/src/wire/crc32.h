/* The CRC that ends every frame, one function for each kind of processor. Not of the ABI. */
#ifndef DREAMPODS_CRC32_H
#define DREAMPODS_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The plain one, which runs anywhere. `crc` and the result are the register itself, not inverted. */
uint32_t rs_crc32_by_table(uint32_t crc, size_t n, const uint8_t *bytes);

#endif
