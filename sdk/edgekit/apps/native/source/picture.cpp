#include "picture.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "failure.h"

namespace edgekit {

namespace {

bool begins(const std::vector<uint8_t>& data, std::string_view magic) {
  return data.size() > magic.size() && !std::memcmp(data.data(), magic.data(), magic.size());
}

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n", kJpeg = "\xff\xd8\xff";

bool is_pnm(const std::vector<uint8_t>& data) {
  return (begins(data, "P5") || begins(data, "P6")) && (data[2] == ' ' || data[2] == '\n' || data[2] == '\r' || data[2] == '\t');
}

// Width, height and maximum, parted by white space and comments, then one white space and the pixels.
Picture decode_pnm(const std::vector<uint8_t>& data) {
  int numbers[3] = {};
  size_t place = 2;
  for (int& number : numbers) {
    while (place < data.size() && (data[place] == '#' || data[place] == ' ' || data[place] == '\n' ||
                                   data[place] == '\r' || data[place] == '\t')) {
      if (data[place] == '#')
        while (place < data.size() && data[place] != '\n') ++place;
      else
        ++place;
    }
    const char* start = reinterpret_cast<const char*>(data.data()) + place;
    const auto [end, error] = std::from_chars(start, reinterpret_cast<const char*>(data.data()) + data.size(), number);
    if (error != std::errc() || number <= 0) fail(EDGEKIT_INPUT, "the PNM's header is damaged");
    place += static_cast<size_t>(end - start);
  }
  if (numbers[2] != 255) fail(EDGEKIT_INPUT, "the PNM's maximum is not 255; save it as PNG");
  if (int64_t{numbers[0]} * numbers[1] > kMostPixels) fail(EDGEKIT_INPUT, "the picture has too many pixels");
  Picture found{numbers[0], numbers[1], data[1] == '5' ? 1 : 3, {}, 1};
  const size_t wanted = static_cast<size_t>(found.width) * static_cast<size_t>(found.height) * static_cast<size_t>(found.channels);
  if (place + 1 > data.size() || data.size() - place - 1 < wanted) fail(EDGEKIT_INPUT, "the PNM ends early");
  const auto start = data.begin() + static_cast<std::ptrdiff_t>(place + 1);
  found.bytes.assign(start, start + static_cast<std::ptrdiff_t>(wanted));
  return found;
}

edgekit_jpeg_decoder jpeg_decoder = nullptr;

Picture decode_jpeg(const std::vector<uint8_t>& data) {
  if (jpeg_decoder == nullptr)
    fail(EDGEKIT_INPUT, "this runner was built without libjpeg; save the picture as PNG, or build where libjpeg's static "
                        "library is (libjpeg-dev)");
  edgekit_jpeg jpeg;
  const bool worked = jpeg_decoder(data.data(), data.size(), size_t{kMostPixels}, &jpeg);
  const std::unique_ptr<unsigned char, decltype(&std::free)> pixels(jpeg.pixels, std::free), exif(jpeg.exif, std::free);
  if (!worked) fail(EDGEKIT_INPUT, std::string("the JPEG is damaged: ") + jpeg.message);
  const size_t bytes = static_cast<size_t>(jpeg.width) * static_cast<size_t>(jpeg.height) * static_cast<size_t>(jpeg.channels);
  return {jpeg.width, jpeg.height, jpeg.channels, {jpeg.pixels, jpeg.pixels + bytes},
          jpeg.exif == nullptr ? 1 : exif_orientation(jpeg.exif, jpeg.exif_size)};
}

}  // namespace

void use_jpeg(edgekit_jpeg_decoder decoder) { jpeg_decoder = decoder; }

bool is_picture(const std::vector<uint8_t>& data) { return begins(data, kPng) || begins(data, kJpeg) || is_pnm(data); }

Picture decode(const std::vector<uint8_t>& data) {
  if (begins(data, kPng)) return decode_png(data);
  if (begins(data, kJpeg)) return decode_jpeg(data);
  if (is_pnm(data)) return decode_pnm(data);
  fail(EDGEKIT_INPUT, "it is no PNG, JPEG or PNM");
}

int exif_orientation(const uint8_t* data, size_t size) {
  if (size < 8) return 1;
  const bool little = data[0] == 'I' && data[1] == 'I';
  if (!little && !(data[0] == 'M' && data[1] == 'M')) return 1;
  const auto number = [&](size_t place, size_t bytes) {
    size_t found = 0;
    for (size_t i = 0; i < bytes; ++i) found |= size_t{data[place + i]} << 8 * (little ? i : bytes - 1 - i);
    return found;
  };
  const size_t start = number(4, 4);
  if (number(2, 2) != 42 || start > size - 2) return 1;
  const size_t entries = number(start, 2);
  for (size_t i = 0; i < entries && start + 2 + 12 * (i + 1) <= size; ++i) {
    const size_t entry = start + 2 + 12 * i;
    if (number(entry, 2) != 0x112) continue;
    const size_t found = number(entry + 8, 2);
    return number(entry + 2, 2) == 3 && number(entry + 4, 4) == 1 && found >= 1 && found <= 8 ? static_cast<int>(found) : 1;
  }
  return 1;
}

}  // namespace edgekit
