#include <pwd.h>
#include <stddef.h>

struct passwd *getpwuid(uid_t user) { return NULL; }

int getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t size, struct passwd **found) {
    *found = NULL;
    return 0;
}
