#include "CPins.h"

#define TEXT(name) #name
#define TEXT_OF(macro) TEXT(macro)

const char *edgekit_executorch_branch(void) { return TEXT_OF(EDGEKIT_EXECUTORCH); }
