// From a picture to an input tensor, to the bit as edgekit/data/preprocess.py, place.py and resample.py say.
#pragma once

#include "manifest.h"
#include "picture.h"
#include "tensor.h"

namespace edgekit {

Tensor preprocess(const Picture& picture, const Preprocessing& steps);

}  // namespace edgekit
