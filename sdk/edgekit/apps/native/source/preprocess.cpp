// Compiled without contraction of products and sums: fused, they would round elsewhere than the build does.
#include "preprocess.h"

#include <algorithm>
#include <cmath>

#include "failure.h"

namespace edgekit {

namespace {

constexpr int kPrecision = 22;

size_t area(int width, int height, int channels) {
  return static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(channels);
}

Picture blank(int width, int height, int channels, int value = 0) {
  return {width, height, channels, std::vector<uint8_t>(area(width, height, channels), static_cast<uint8_t>(value)), 1};
}

const uint8_t* pixel(const Picture& p, int x, int y) {
  return &p.bytes[(static_cast<size_t>(y) * static_cast<size_t>(p.width) + static_cast<size_t>(x)) * static_cast<size_t>(p.channels)];
}

uint8_t* pixel(Picture& p, int x, int y) { return const_cast<uint8_t*>(pixel(static_cast<const Picture&>(p), x, y)); }

// 1. Turns as EXIF says.
Picture turned(const Picture& p) {
  const bool swapped = p.orientation >= 5;
  Picture found = blank(swapped ? p.height : p.width, swapped ? p.width : p.height, p.channels);
  const int right = p.width - 1, bottom = p.height - 1;
  for (int y = 0; y < found.height; ++y)
    for (int x = 0; x < found.width; ++x) {
      const uint8_t* from = nullptr;
      switch (p.orientation) {
        case 2: from = pixel(p, right - x, y); break;
        case 3: from = pixel(p, right - x, bottom - y); break;
        case 4: from = pixel(p, x, bottom - y); break;
        case 5: from = pixel(p, y, x); break;
        case 6: from = pixel(p, y, bottom - x); break;
        case 7: from = pixel(p, right - y, bottom - x); break;
        default: from = pixel(p, right - y, x);
      }
      std::copy_n(from, p.channels, pixel(found, x, y));
    }
  return found;
}

uint8_t over(int value, int alpha, int background) {
  const int t = (value * alpha + background * (255 - alpha) + 128) << 7;
  return static_cast<uint8_t>((((t >> 8) + t) >> 8) >> 7);
}

// 2. and 3. Lays transparent pixels over the background and gives the channels that the model takes, in RGB's order.
Picture colored(const Picture& p, int channels, int background) {
  Picture found = blank(p.width, p.height, channels);
  const size_t count = area(p.width, p.height, 1);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = &p.bytes[i * static_cast<size_t>(p.channels)];
    uint8_t rgb[3];
    for (int c = 0; c < 3; ++c) {
      const uint8_t value = from[p.channels == 1 ? 0 : c];
      rgb[c] = p.channels == 4 ? over(value, from[3], background) : value;
    }
    uint8_t* to = &found.bytes[i * static_cast<size_t>(channels)];
    if (channels == 3)
      std::copy_n(rgb, 3, to);
    else
      *to = static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
  }
  return found;
}

// 4. Which part of a picture is resized to which size, and where that begins in the input; below zero it is cut off.
struct Place {
  int left, top, width, height, to_width, to_height, x = 0, y = 0;
};

int start_of(int free) { return free >= 0 ? free / 2 : -static_cast<int>(std::nearbyint(-free / 2.0)); }

Place place_of(int width, int height, const Resize& resize) {
  const int64_t w = width, h = height, wide = resize.width, high = resize.height;
  Place whole{0, 0, width, height, resize.width, resize.height};
  if (resize.mode == "stretch") return whole;
  if (resize.mode == "cover") {
    if (w * high > h * wide) {
      whole.width = static_cast<int>(std::max<int64_t>(1, (2 * h * wide + high) / (2 * high)));
      whole.left = (width - whole.width) / 2;
    } else {
      whole.height = static_cast<int>(std::max<int64_t>(1, (2 * w * high + wide) / (2 * wide)));
      whole.top = (height - whole.height) / 2;
    }
    return whole;
  }
  int64_t to_width = 0, to_height = 0;
  if (resize.mode == "shorter") {
    to_width = resize.shorter * w / std::min(w, h);
    to_height = resize.shorter * h / std::min(w, h);
  } else {
    const double ratio = std::min(static_cast<double>(high) / static_cast<double>(h), static_cast<double>(wide) / static_cast<double>(w));
    to_width = std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(w) * ratio)));
    to_height = std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(h) * ratio)));
  }
  if (to_width > kMostPixels || to_height > kMostPixels || to_width * to_height > kMostPixels)
    fail(EDGEKIT_INPUT, "the picture is so narrow that it would be resized to " + std::to_string(to_width) + " x " + std::to_string(to_height));
  whole.to_width = static_cast<int>(to_width), whole.to_height = static_cast<int>(to_height);
  whole.x = start_of(resize.width - whole.to_width), whole.y = start_of(resize.height - whole.to_height);
  return whole;
}

// 5. Which pixels an output pixel is made of, and with which weights; none: of the first pixel alone.
struct Taps {
  int first = 0;
  std::vector<int> weights;
};

double weight_of(bool cubic, double offset, double a) {
  const double x = std::abs(offset);
  if (!cubic) return std::max(1.0 - x, 0.0);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

int fixed(double weight) {
  const double scaled = weight * (1 << kPrecision);
  return static_cast<int>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

// Under a filter that widens where a picture is made smaller.
Taps wide(int i, double scale, int size, bool cubic) {
  const double stretch = std::max(scale, 1.0), reach = stretch * (cubic ? 2.0 : 1.0), centre = (i + 0.5) * scale;
  Taps found{static_cast<int>(std::max(centre - reach + 0.5, 0.0)), {}};
  const int end = static_cast<int>(std::min(centre + reach + 0.5, static_cast<double>(size)));
  std::vector<double> weights;
  double sum = 0;
  for (int j = found.first; j < end; ++j) weights.push_back(weight_of(cubic, (j - centre + 0.5) * (1.0 / stretch), -0.5));
  for (const double weight : weights) sum += weight;
  for (const double weight : weights) found.weights.push_back(fixed(sum == 0 ? weight : weight / sum));
  return found;
}

// The two or four pixels around a place, those beyond the edge as the one at the edge.
Taps plain(int i, double scale, int size, bool cubic) {
  const double centre = (i + 0.5) * scale - 0.5, base = std::floor(centre);
  const int low = static_cast<int>(base), from = cubic ? -1 : 0, to = cubic ? 2 : 1;
  const auto inside = [size](int place) { return std::clamp(place, 0, size - 1); };
  Taps found{inside(low + from), {}};
  found.weights.assign(static_cast<size_t>(inside(low + to) - found.first + 1), 0);
  for (int k = from; k <= to; ++k)
    found.weights[static_cast<size_t>(inside(low + k) - found.first)] += fixed(weight_of(cubic, k - (centre - base), -0.75));
  return found;
}

struct Span {
  int begin, end;
};

std::vector<Taps> taps(int size, int wanted, Span span, const Resize& resize) {
  const double scale = static_cast<double>(size) / wanted;
  std::vector<Taps> found;
  double place = scale / 2;  // added up from pixel to pixel: a product would round elsewhere
  for (int i = 0; i < span.end; ++i, place += scale) {
    if (i < span.begin) continue;
    if (size == wanted) found.push_back({i, {}});
    else if (resize.filter == "nearest") found.push_back({static_cast<int>(place), {}});
    else if (resize.antialias) found.push_back(wide(i, scale, size, resize.filter == "bicubic"));
    else found.push_back(plain(i, scale, size, resize.filter == "bicubic"));
  }
  return found;
}

uint8_t mixed(const uint8_t* from, size_t step, const std::vector<int>& weights) {
  if (weights.empty()) return *from;
  int sum = 1 << (kPrecision - 1);
  for (const int weight : weights) {
    sum += weight * *from;
    from += step;
  }
  return static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
}

// The part of a resized side that lies inside of the input.
Span inside(int start, int size, int wanted) { return {std::max(0, -start), std::min(size, wanted - start)}; }

// Resizes what `place` keeps, and computes only what lies inside of the input.
Picture resized(const Picture& p, const Place& place, const Resize& resize) {
  const Span columns = inside(place.x, place.to_width, resize.width), rows = inside(place.y, place.to_height, resize.height);
  const std::vector<Taps> across = taps(place.width, place.to_width, columns, resize);
  const std::vector<Taps> down = taps(place.height, place.to_height, rows, resize);
  Picture wide = blank(columns.end - columns.begin, place.height, p.channels);
  for (int y = 0; y < wide.height; ++y)
    for (int x = 0; x < wide.width; ++x) {
      const Taps& tap = across[static_cast<size_t>(x)];
      const uint8_t* from = pixel(p, place.left + tap.first, place.top + y);
      for (int c = 0; c < p.channels; ++c) pixel(wide, x, y)[c] = mixed(from + c, static_cast<size_t>(p.channels), tap.weights);
    }
  Picture found = blank(wide.width, rows.end - rows.begin, p.channels);
  const size_t row = area(wide.width, 1, p.channels);
  for (int y = 0; y < found.height; ++y) {
    const Taps& tap = down[static_cast<size_t>(y)];
    const uint8_t* from = &wide.bytes[static_cast<size_t>(tap.first) * row];
    for (size_t i = 0; i < row; ++i) found.bytes[static_cast<size_t>(y) * row + i] = mixed(from + i, row, tap.weights);
  }
  return found;
}

// Lays a picture that is smaller than the input on its grey.
Picture laid(const Picture& p, const Place& place, const Resize& resize) {
  if (p.width == resize.width && p.height == resize.height) return p;
  Picture found = blank(resize.width, resize.height, p.channels, resize.pad);
  for (int y = 0; y < p.height; ++y)
    std::copy_n(pixel(p, 0, y), area(p.width, 1, p.channels), pixel(found, std::max(0, place.x), std::max(0, place.y) + y));
  return found;
}

// 6. Times scale, minus mean, divided by std, each rounded to float32; or left to the model.
Tensor normalized(const Picture& p, const Preprocessing& steps) {
  const bool first = steps.layout == "NCHW";
  Tensor found{steps.in_graph ? DType::uint8 : DType::float32, {1, p.height, p.width, p.channels}, {}};
  if (first) found.sizes = {1, p.channels, p.height, p.width};
  found.bytes.resize(area(p.width, p.height, p.channels) * size_of(found.dtype));
  const auto scale = static_cast<float>(steps.scale);
  const size_t pixels = area(p.width, p.height, 1), channels = static_cast<size_t>(p.channels);
  for (size_t c = 0; c < channels; ++c) {
    const auto mean = static_cast<float>(steps.mean[c]), std = static_cast<float>(steps.std[c]);
    const size_t from = steps.color == "bgr" ? 2 - c : c;
    for (size_t i = 0; i < pixels; ++i) {
      const uint8_t value = p.bytes[i * channels + from];
      const size_t place = first ? c * pixels + i : i * channels + c;
      if (steps.in_graph)
        found.bytes[place] = value;
      else
        reinterpret_cast<float*>(found.bytes.data())[place] = (static_cast<float>(value) * scale - mean) / std;
    }
  }
  return found;
}

}  // namespace

Tensor preprocess(const Picture& picture, const Preprocessing& steps) {
  const Picture upright = picture.orientation >= 2 && picture.orientation <= 8 ? turned(picture) : picture;
  const Place place = place_of(upright.width, upright.height, steps.resize);
  const Picture part = resized(colored(upright, steps.channels(), steps.background), place, steps.resize);
  return normalized(laid(part, place, steps.resize), steps);
}

}  // namespace edgekit
