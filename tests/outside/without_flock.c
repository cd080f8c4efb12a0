#include <errno.h>
#include <stdlib.h>

int flock(int file, int operation) {
    errno = atoi(getenv("ROBUSTFRONT_TEST_ERRNO"));
    return -1;
}
