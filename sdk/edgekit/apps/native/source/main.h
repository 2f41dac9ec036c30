// What launch.cpp looks up in libedgekit.so.
#pragma once

#include "jpeg.h"

extern "C" __attribute__((visibility("default"))) int edgekit_main(int count, char** arguments, const char* folder,
                                                                   edgekit_jpeg_decoder jpeg);
