#ifndef STEPPED_CLOCK_H
#define STEPPED_CLOCK_H

/// The environment variable that names the file with the clock's offset: microseconds, as a 64-bit integer.
#define STEPPED_CLOCK_VARIABLE "STEPPED_CLOCK"

#endif
