#include "json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "failure.h"

namespace edgekit {

namespace {
constexpr int kDeepest = 64;
}

class JsonReader {
 public:
  JsonReader(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Json read() {
    Json found = value(0);
    skip();
    if (place_ != text_.size()) wrong("something behind its end");
    return found;
  }

 private:
  [[noreturn]] void wrong(const char* what) const {
    fail(EDGEKIT_DAMAGED, where_ + " is no JSON: " + what + " at byte " + std::to_string(place_));
  }

  void skip() {
    while (place_ < text_.size() && (text_[place_] == ' ' || text_[place_] == '\n' || text_[place_] == '\t' ||
                                     text_[place_] == '\r'))
      ++place_;
  }

  char peek() {
    skip();
    if (place_ >= text_.size()) wrong("it ends early");
    return text_[place_];
  }

  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++place_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) wrong("another character than expected");
  }

  bool word(std::string_view wanted) {
    if (text_.substr(place_, wanted.size()) != wanted) return false;
    place_ += wanted.size();
    return true;
  }

  Json value(int depth) {
    if (depth > kDeepest) wrong("nested too deeply");
    Json found;
    switch (peek()) {
      case '{':
        found.kind_ = Json::Kind::object;
        ++place_;
        if (take('}')) break;
        do {
          if (peek() != '"') wrong("a name without quotes");
          std::string name = text();
          expect(':');
          found.members_.emplace_back(std::move(name), value(depth + 1));
        } while (take(','));
        expect('}');
        break;
      case '[':
        found.kind_ = Json::Kind::list;
        ++place_;
        if (take(']')) break;
        do found.items_.push_back(value(depth + 1));
        while (take(','));
        expect(']');
        break;
      case '"':
        found.kind_ = Json::Kind::text;
        found.text_ = text();
        break;
      case 't':
      case 'f':
        found.kind_ = Json::Kind::truth;
        found.truth_ = text_[place_] == 't';
        if (!word(found.truth_ ? "true" : "false")) wrong("an unknown word");
        break;
      case 'n':
        if (!word("null")) wrong("an unknown word");
        break;
      default:
        found.kind_ = Json::Kind::number;
        found.number_ = number();
    }
    return found;
  }

  double number() {
    double found = 0;
    const char* start = text_.data() + place_;
    const auto [end, error] = std::from_chars(start, text_.data() + text_.size(), found);
    if (error != std::errc() || end == start || !std::isfinite(found)) wrong("no value");
    place_ += static_cast<size_t>(end - start);
    return found;
  }

  std::string text() {
    ++place_;
    std::string found;
    while (true) {
      if (place_ >= text_.size()) wrong("a text that does not end");
      const char c = text_[place_++];
      if (c == '"') return found;
      if (static_cast<unsigned char>(c) < 0x20) wrong("a control character");
      if (c == '\\')
        escape(found);
      else
        found += c;
    }
  }

  void escape(std::string& found) {
    if (place_ >= text_.size()) wrong("a text that does not end");
    const char c = text_[place_++];
    switch (c) {
      case 'b': found += '\b'; return;
      case 'f': found += '\f'; return;
      case 'n': found += '\n'; return;
      case 'r': found += '\r'; return;
      case 't': found += '\t'; return;
      case '"': case '\\': case '/': found += c; return;
      case 'u': break;
      default: wrong("an unknown escape");
    }
    uint32_t point = hex();
    if (point >= 0xd800 && point < 0xdc00 && word("\\u")) {
      const uint32_t low = hex();
      if (low < 0xdc00 || low > 0xdfff) wrong("half a character");
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    utf8(found, point);
  }

  uint32_t hex() {
    uint32_t found = 0;
    if (text_.size() - place_ < 4) wrong("a text that does not end");
    const char* start = text_.data() + place_;
    const auto [end, error] = std::from_chars(start, start + 4, found, 16);
    if (error != std::errc() || end != start + 4) wrong("an unknown escape");
    place_ += 4;
    return found;
  }

  static void utf8(std::string& found, uint32_t point) {
    const auto add = [&found](uint32_t byte) { found += static_cast<char>(byte); };
    if (point < 0x80) {
      add(point);
    } else if (point < 0x800) {
      add(0xc0 | (point >> 6));
      add(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      add(0xe0 | (point >> 12));
      add(0x80 | ((point >> 6) & 0x3f));
      add(0x80 | (point & 0x3f));
    } else {
      add(0xf0 | (point >> 18));
      add(0x80 | ((point >> 12) & 0x3f));
      add(0x80 | ((point >> 6) & 0x3f));
      add(0x80 | (point & 0x3f));
    }
  }

  std::string_view text_;
  std::string where_;
  size_t place_ = 0;
};

Json Json::parse(std::string_view text, const std::string& where) { return JsonReader(text, where).read(); }

void Json::wrong(const char* wanted) const {
  fail(EDGEKIT_DAMAGED, std::string("the manifest breaks its schema: ") + wanted);
}

const Json* Json::find(std::string_view name) const {
  if (kind_ != Kind::object) wrong("an object is something else");
  for (const auto& [key, value] : members_)
    if (key == name) return &value;
  return nullptr;
}

const Json& Json::at(std::string_view name) const {
  const Json* found = find(name);
  if (found == nullptr) fail(EDGEKIT_DAMAGED, "the manifest breaks its schema: it lacks " + std::string(name));
  return *found;
}

const std::vector<Json>& Json::items() const {
  if (kind_ != Kind::list) wrong("a list is something else");
  return items_;
}

const std::vector<std::pair<std::string, Json>>& Json::members() const {
  if (kind_ != Kind::object) wrong("an object is something else");
  return members_;
}

const std::string& Json::text() const {
  if (kind_ != Kind::text) wrong("a text is something else");
  return text_;
}

double Json::number() const {
  if (kind_ != Kind::number) wrong("a number is something else");
  return number_;
}

int64_t Json::whole(int64_t least, int64_t most) const {
  const double found = number();
  if (found != std::floor(found) || found < static_cast<double>(least) || found > static_cast<double>(most))
    wrong("a whole number is none, or out of its range");
  return static_cast<int64_t>(found);
}

bool Json::truth() const {
  if (kind_ != Kind::truth) wrong("true or false is something else");
  return truth_;
}

namespace {

// How many bytes a character of UTF-8 has that begins here; 0: it is none.
size_t length_of(std::string_view text) {
  const auto byte = [&text](size_t place) { return static_cast<unsigned char>(text[place]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5                  ? 4
                                                                         : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t place = 1; place < length; ++place)
    if ((byte(place) & 0xc0) != 0x80) return 0;
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) || (first == 0xf0 && byte(1) < 0x90) ||
      (first == 0xf4 && byte(1) > 0x8f))
    return 0;
  return length;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string found = "\"";
  while (!text.empty()) {
    const size_t length = length_of(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (first == '"' || first == '\\') {
      found += '\\';
      found += text[0];
    } else if (first < 0x20 || first == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", first);
      found += escaped;
    } else if (length == 0) {
      found += '?';
    } else {
      found += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return found + '"';
}

std::string plain(std::string_view text) {
  std::string found;
  while (!text.empty()) {
    const size_t length = length_of(text);
    const auto byte = [&text](size_t place) { return static_cast<unsigned char>(text[place]); };
    const bool steers = byte(0) < 0x20 || byte(0) == 0x7f || (length == 2 && byte(0) == 0xc2 && byte(1) < 0xa0);
    if (length == 0 || steers)
      found += '?';
    else
      found += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return found;
}

}  // namespace edgekit
