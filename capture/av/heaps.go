package av

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>

static int tav_limit_heaps(int n) { return getenv("MALLOC_ARENA_MAX") ? 0 : mallopt(M_ARENA_MAX, n); }
#else
static int tav_limit_heaps(int n) { (void)n; return 0; }
#endif
*/
import "C"

// LimitHeaps has glibc's malloc make no more than n heaps (M_ARENA_MAX of mallopt(3)), n at least 1, unless the user
// says how many by MALLOC_ARENA_MAX. By itself it makes up to eight a core, one for each thread that finds the others
// busy, and what a decoder or a network frees in one of them no other can take: a server that runs for long grows by
// that. It is to be called once, before there are threads of C. It reports whether that was done; elsewhere than with
// glibc it is not.
func LimitHeaps(n int) bool { return C.tav_limit_heaps(C.int(max(n, 1))) == 1 }
