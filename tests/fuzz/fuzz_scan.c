/*
 * Fuzzes what reads one stream as it lies: any bytes, any number of frames at once.
 *
 * However few frames a call may find, all calls together find the same as one; a frame found is encoded again to the
 * bytes it came from; and nothing is read past the end.
 */
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (!size)
        return 0;
    const size_t at_once = 1 + input[0] % 8;
    size--;
    uint8_t *bytes = malloc(size + 1); /* of its own length, and for the CRCs to be made right */
    memcpy(bytes, input + 1, size);
    for (size_t at = 0; size > 12 && at < size - 12; at++) { /* where a header is right, the CRC often is too */
        const size_t length = bytes[at + 4] | (size_t)bytes[at + 5] << 8;
        if (bytes[at] != 0xD7 || length > 1024 || length + 12 > size - at || bytes[at + 6] & 1)
            continue;
        const rs_frame frame = {.offset = (uint32_t)at + 8, .length = (uint16_t)length, .type = bytes[at + 1],
                                .seq = (uint16_t)(bytes[at + 2] | bytes[at + 3] << 8), .epoch = bytes[at + 6]};
        uint8_t whole[1036];
        memcpy(bytes + at, whole, rs_frames_encode(1, &frame, bytes, whole));
        at += length;
    }
    const size_t most = size / 12 + 1;
    rs_frame *one = calloc(most, sizeof *one), *all = calloc(most, sizeof *all);
    rs_frame_faults one_faults = {0}, all_faults = {0};
    size_t found = 0, total = 0, done = 0;
    const size_t end = rs_frames_scan(size, bytes, most, all, &total, &all_faults);
    for (size_t before = SIZE_MAX; found != before;) {
        before = found;
        const size_t start = done;
        done += rs_frames_scan(size - done, bytes + done, at_once, one, &found, &one_faults);
        for (size_t k = before; k < found; k++)
            one[k].offset += (uint32_t)start;
    }
    if (done != end || found != total || memcmp(one, all, found * sizeof *one) ||
        one_faults.corrupt != all_faults.corrupt || one_faults.skipped != all_faults.skipped)
        abort();
    size_t in_frames = 0;
    for (size_t k = 0; k < found; k++) {
        uint8_t again[1036];
        const size_t whole = rs_frames_encode(1, &all[k], bytes, again);
        if (memcmp(again, bytes + all[k].offset - 8, whole))
            abort();
        in_frames += whole;
    }
    if (in_frames + all_faults.skipped != end) /* every byte is in a frame, skipped, or left */
        abort();
    free(one);
    free(all);
    free(bytes);
    return 0;
}
