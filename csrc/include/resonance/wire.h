/* From bytes to frames and samples, and back. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_WIRE_H
#define DREAMPODS_RESONANCE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* ---- frames: what travels between a host and its pods ------------------------------------------
 *
 *     magic 0xD7 | type 1 | seq 2 | length 2 | epoch 1 | check 1 | payload 0..1024 | crc32 4
 *
 * little-endian; firmware/dreampod/wire.py is the definition and tells the meaning of each field.
 * A header whose check fails, and a frame whose CRC fails, is given up at its first byte: reading
 * goes on at the next magic byte, because a whole frame may begin inside a broken one.
 */

/* A frame found, or one to write. */
typedef struct {
    uint32_t offset; /* of its payload */
    uint32_t pod;
    uint16_t seq;
    uint16_t length; /* of its payload, 0..1024 */
    uint8_t type;
    uint8_t epoch;
    uint8_t spare[2];
} rs_frame;

/* Counters that only grow. */
typedef struct {
    uint64_t corrupt; /* headers and frames that failed their check */
    uint64_t skipped; /* bytes thrown away while looking for the next frame */
} rs_frame_faults;

/* CRC-32 as zlib counts it (ISO-HDLC, polynomial 0x04C11DB7): `crc` is 0, or the CRC of what came before. */
uint32_t rs_crc32(uint32_t crc, size_t n, const uint8_t *bytes);

/* One stream, nothing kept: finds at most `most` frames in bytes [n], n below 2^32. They are written
 * behind the `found` that are in frames already: frames [found + most]; found and the counters of
 * faults go up. Offsets count from bytes[0]; pod is 0.
 * Returns how many bytes are done with: what follows may be the start of a frame, and is to be
 * given again with more behind it (or, if `most` were found, as it is). */
size_t rs_frames_scan(size_t n, const uint8_t *bytes, size_t most, rs_frame *frames,
                      size_t *found, rs_frame_faults *faults);

/* Many streams, each with the start of a frame that it may hold between two reads. */
typedef struct rs_frames rs_frames;

rs_frames *rs_frames_new(size_t pods);
void rs_frames_free(rs_frames *streams);

/* Forgets what a pod's stream holds, for a new connection. Its counters stay. */
void rs_frames_restart(rs_frames *streams, uint32_t pod);

/* Bytes held by all streams together. */
size_t rs_frames_held(const rs_frames *streams);

/* Takes `reads` reads, bytes [n]: the first length[0] of them came from pod[0], the next length[1] from
 * pod[1], and so on; a pod may come again, and reads of one pod in a row are one. Room out: with
 * `most` the sum of n and rs_frames_held, frames [most / 12] and payloads [most]; offsets count from
 * payloads[0]. Returns the number of frames, in the order in which they ended; or SIZE_MAX, touching
 * nothing, if there is no such pod, the lengths do not add up to n, or `most` is not below 2^32. */
size_t rs_frames_decode(rs_frames *streams, size_t reads, const uint32_t *pod,
                        const uint32_t *length, size_t n, const uint8_t *bytes, rs_frame *frames,
                        uint8_t *payloads);

/* faults [pods]. */
void rs_frames_state(const rs_frames *streams, rs_frame_faults *faults);

/* Bytes that rs_frames_encode writes for n frames; 0 if a payload is longer than 1024 bytes, or ends
 * outside the `room` bytes in which all payloads lie. */
size_t rs_frames_bytes(size_t n, const rs_frame *frames, size_t room);

/* Writes n frames one behind the other, payloads from `payloads` + offset; their pods play no part.
 * out [rs_frames_bytes]. Returns the bytes written; or 0, touching nothing, if a payload is longer
 * than 1024 bytes. */
size_t rs_frames_encode(size_t n, const rs_frame *frames, const uint8_t *payloads, uint8_t *out);

/* ---- samples: packed sensor values to physical units ------------------------------------------- */

/* Formats that a pod's dictionary names: u16, i16, i16be, u24be, i24be. */
enum { RS_U16 = 0, RS_I16 = 1, RS_I16BE = 2, RS_U24BE = 3, RS_I24BE = 4 };

/* x [n]: value * scale + offset, computed in double. bytes [2 n], or [3 n] for 24 bits. Returns 0;
 * or -1, touching nothing, if there is no such format. */
int rs_samples_decode(int format, size_t n, const uint8_t *bytes, double scale, double offset,
                      float *x);

#endif
