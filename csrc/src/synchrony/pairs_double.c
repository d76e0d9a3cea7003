/* Rows and their products in double precision: see pairs_rows.h and pairs_tiles.h. */
#include <math.h>
#include <string.h>

#include "pairs.h"

RS_FUSED

#define REAL double
#define NAME(x) x##_double
#define SQRT sqrt
#define LEAST 1e-280
#define MOST 1e280

#include "pairs_rows.h"
#include "pairs_tiles.h"
