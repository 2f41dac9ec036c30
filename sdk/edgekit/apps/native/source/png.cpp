// PNG, all colour types and depths, interlaced or not: W3C's Portable Network Graphics, third edition.
#include <array>
#include <cstdlib>
#include <cstring>

#include "failure.h"
#include "inflate.h"
#include "picture.h"

namespace edgekit {

namespace {

[[noreturn]] void damaged(const std::string& why) { fail(EDGEKIT_INPUT, "the PNG is damaged: " + why); }

uint32_t big(const uint8_t* data) {
  return static_cast<uint32_t>(data[0]) << 24 | static_cast<uint32_t>(data[1]) << 16 | static_cast<uint32_t>(data[2]) << 8 | data[3];
}

uint32_t crc(const uint8_t* data, size_t size) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
      made[i] = c;
    }
    return made;
  }();
  uint32_t c = 0xffffffffu;
  for (size_t i = 0; i < size; ++i) c = table[(c ^ data[i]) & 255] ^ (c >> 8);
  return ~c;
}

constexpr int kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6;

struct Png {
  int width = 0, height = 0, depth = 0, color = -1;
  bool interlaced = false;
  std::vector<uint8_t> compressed, palette, transparency;
  int orientation = 1;

  int samples() const { return color == kRgb ? 3 : color == kRgba ? 4 : color == kGreyAlpha ? 2 : 1; }
  size_t row_bytes(int columns) const {
    return (static_cast<size_t>(columns) * static_cast<size_t>(samples() * depth) + 7) / 8;
  }
  size_t pixel_bytes() const { return static_cast<size_t>((samples() * depth + 7) / 8); }
};

void read_header(Png& png, const uint8_t* data, size_t size) {
  if (size != 13 || png.color >= 0) damaged("its header");
  const uint32_t width = big(data), height = big(data + 4);
  if (width == 0 || height == 0 || width > 0x7fffffff || height > 0x7fffffff) damaged("its size");
  if (int64_t{width} * height > kMostPixels) fail(EDGEKIT_INPUT, "the picture has too many pixels");
  png.width = static_cast<int>(width), png.height = static_cast<int>(height);
  png.depth = data[8], png.color = data[9], png.interlaced = data[12] == 1;
  const bool low = png.depth == 1 || png.depth == 2 || png.depth == 4;
  const bool fits = png.color == kGrey      ? low || png.depth == 8 || png.depth == 16
                    : png.color == kPalette ? low || png.depth == 8
                    : png.color == kRgb || png.color == kGreyAlpha || png.color == kRgba ? png.depth == 8 || png.depth == 16
                                                                                         : false;
  if (!fits || data[10] != 0 || data[11] != 0 || data[12] > 1) damaged("its header");
}

Png read_chunks(const std::vector<uint8_t>& data) {
  Png png;
  for (size_t place = 8;;) {
    if (data.size() - place < 12) damaged("it ends early");
    const size_t size = big(&data[place]);
    if (size > data.size() - place - 12) damaged("it ends early");
    const uint8_t* content = &data[place + 8];
    const std::string name(reinterpret_cast<const char*>(content - 4), 4);
    const bool critical = !(name[0] & 32);
    if (critical && crc(content - 4, size + 4) != big(content + size)) damaged("a checksum");
    if (png.color < 0 && name != "IHDR") damaged("its header");
    if (name == "IHDR") read_header(png, content, size);
    else if (name == "PLTE") png.palette.assign(content, content + size);
    else if (name == "tRNS") png.transparency.assign(content, content + size);
    else if (name == "IDAT") png.compressed.insert(png.compressed.end(), content, content + size);
    else if (name == "eXIf") png.orientation = exif_orientation(content, size);
    else if (name == "IEND") return png;
    else if (critical) damaged("an unknown part");
    place += size + 12;
  }
}

uint8_t predicted(uint8_t left, uint8_t up, uint8_t corner) {
  const int p = left + up - corner;
  const int a = std::abs(p - left), b = std::abs(p - up), c = std::abs(p - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

// Undoes the filter of a row in place; the row above is the one of the same pass, or all zeros.
void unfilter(uint8_t kind, uint8_t* row, const uint8_t* above, size_t size, size_t step) {
  if (kind > 4) damaged("an unknown filter");
  for (size_t i = 0; i < size; ++i) {
    const uint8_t left = i < step ? uint8_t{0} : row[i - step], corner = i < step ? uint8_t{0} : above[i - step];
    const uint8_t up = above[i];
    const int added = kind == 0 ? 0 : kind == 1 ? left : kind == 2 ? up : kind == 3 ? (left + up) / 2 : predicted(left, up, corner);
    row[i] = static_cast<uint8_t>(row[i] + added);
  }
}

class Pixels {
 public:
  explicit Pixels(const Png& png) : png_(png) {
    const bool keyed = !png.transparency.empty();
    if (keyed && ((png.color == kGrey && png.depth < 8) || (png.color == kRgb && png.depth == 16)))
      fail(EDGEKIT_INPUT, "the PNG marks a transparent colour at an unusual depth; save it as RGBA");
    alpha_ = png.color == kRgba || png.color == kGreyAlpha || (keyed && !(png.color == kGrey && png.depth == 16));
    channels_ = alpha_ ? 4 : png.color == kGrey ? 1 : 3;
    if (keyed && png.color == kGrey && png.transparency.size() < 2) damaged("its transparency");
    if (keyed && png.color == kRgb && png.transparency.size() < 6) damaged("its transparency");
  }

  int channels() const { return channels_; }

  // Writes the pixel at a column of an unfiltered row.
  void put(const uint8_t* row, int column, uint8_t* out) const {
    switch (png_.color) {
      case kGrey: return grey(sample(row, column, 0), out);
      case kGreyAlpha: out[0] = out[1] = out[2] = sample(row, column, 0), out[3] = sample(row, column, 1); return;
      case kPalette: return looked_up(sample(row, column, 0), out);
      default: break;
    }
    for (int i = 0; i < png_.samples(); ++i) out[i] = sample(row, column, i);
    if (png_.color == kRgb && alpha_) {
      const uint8_t* key = png_.transparency.data();
      const bool hidden = !key[0] && !key[2] && !key[4] && out[0] == key[1] && out[1] == key[3] && out[2] == key[5];
      out[3] = hidden ? 0 : 255;
    }
  }

 private:
  uint8_t sample(const uint8_t* row, int column, int number) const {
    const size_t index = static_cast<size_t>(column) * static_cast<size_t>(png_.samples()) + static_cast<size_t>(number);
    if (png_.depth == 16) return row[2 * index];
    if (png_.depth == 8) return row[index];
    const size_t bit = index * static_cast<size_t>(png_.depth);
    return static_cast<uint8_t>(row[bit / 8] >> (8 - png_.depth - static_cast<int>(bit % 8)) & ((1 << png_.depth) - 1));
  }

  void grey(uint8_t value, uint8_t* out) const {
    if (png_.depth < 8) value = static_cast<uint8_t>(value * 255 / ((1 << png_.depth) - 1));
    out[0] = value;
    if (alpha_) {
      out[1] = out[2] = value;
      out[3] = !png_.transparency[0] && png_.transparency[1] == value ? 0 : 255;
    }
  }

  void looked_up(size_t index, uint8_t* out) const {
    if (index * 3 + 3 > png_.palette.size()) damaged("a colour that its palette lacks");
    std::memcpy(out, &png_.palette[index * 3], 3);
    if (alpha_) out[3] = index < png_.transparency.size() ? png_.transparency[index] : 255;
  }

  const Png& png_;
  bool alpha_ = false;
  int channels_ = 0;
};

struct Pass {
  int x, y, step_x, step_y;
};

int steps(int size, int start, int step) { return size <= start ? 0 : (size - start + step - 1) / step; }

}  // namespace

Picture decode_png(const std::vector<uint8_t>& data) {
  const Png png = read_chunks(data);
  const Pixels pixels(png);
  static constexpr Pass kWhole[] = {{0, 0, 1, 1}};
  static constexpr Pass kAdam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  const Pass* passes = png.interlaced ? kAdam7 : kWhole;
  const size_t count = png.interlaced ? 7 : 1;
  size_t wanted = 0;
  for (size_t i = 0; i < count; ++i) {
    const int columns = steps(png.width, passes[i].x, passes[i].step_x), rows = steps(png.height, passes[i].y, passes[i].step_y);
    if (columns > 0) wanted += static_cast<size_t>(rows) * (png.row_bytes(columns) + 1);
  }
  std::vector<uint8_t> lines = inflate(png.compressed, wanted);
  const auto width = static_cast<size_t>(png.width), channels = static_cast<size_t>(pixels.channels());
  Picture found{png.width, png.height, pixels.channels(), {}, png.orientation};
  found.bytes.resize(width * static_cast<size_t>(png.height) * channels);
  uint8_t* place = lines.data();
  for (size_t i = 0; i < count; ++i) {
    const Pass& pass = passes[i];
    const int columns = steps(png.width, pass.x, pass.step_x), rows = steps(png.height, pass.y, pass.step_y);
    const size_t size = png.row_bytes(columns);
    const std::vector<uint8_t> zeros(size);
    const uint8_t* above = zeros.data();
    for (int row = 0; row < rows && columns > 0; ++row, place += size + 1) {
      unfilter(place[0], place + 1, above, size, png.pixel_bytes());
      above = place + 1;
      const size_t y = static_cast<size_t>(pass.y + row * pass.step_y);
      for (int column = 0; column < columns; ++column) {
        const size_t x = static_cast<size_t>(pass.x + column * pass.step_x);
        pixels.put(above, column, &found.bytes[(y * width + x) * channels]);
      }
    }
  }
  return found;
}

}  // namespace edgekit
