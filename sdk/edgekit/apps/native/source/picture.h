// Pictures as decoded: what edgekit/data/preprocess.py gets from Pillow, to the bit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jpeg.h"

namespace edgekit {

struct Picture {
  int width = 0, height = 0;
  int channels = 0;             // 1: grey, 3: RGB, 4: RGBA, not premultiplied
  std::vector<uint8_t> bytes;   // rows of pixels
  int orientation = 1;          // EXIF's
};

constexpr int64_t kMostPixels = 89478485;  // Pillow's own limit

// Whether the bytes begin as a picture's do.
bool is_picture(const std::vector<uint8_t>& data);

// Decodes PNG, binary PNM with a maximum of 255 and, where there is a decoder, JPEG. Fails with
// EDGEKIT_INPUT where the bytes are damaged, or are of a kind that this runner does not read.
Picture decode(const std::vector<uint8_t>& data);

Picture decode_png(const std::vector<uint8_t>& data);

// Takes the decoder of JPEGs that edgekit-run was built with, if it was.
void use_jpeg(edgekit_jpeg_decoder decoder);

// The orientation that EXIF data (a TIFF) names; 1 where it names none.
int exif_orientation(const uint8_t* data, size_t size);

}  // namespace edgekit
