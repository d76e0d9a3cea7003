/* Rows and their products in single precision: see pairs_rows.h and pairs_tiles.h. */
#include <math.h>
#include <string.h>

#include "pairs.h"

RS_FUSED

#define REAL float
#define NAME(x) x##_float
#define SQRT sqrtf
#define LEAST 1e-30f
#define MOST 1e30f

#include "pairs_rows.h"
#include "pairs_tiles.h"
