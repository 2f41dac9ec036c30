// JSON as manifests use it. What is asked for and not there, or of another kind, is a Failure that names the place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edgekit {

class Json {
 public:
  // Reads a text; fails with EDGEKIT_DAMAGED where it is none, is nested too deeply, or goes on behind its end.
  static Json parse(std::string_view text, const std::string& where);

  bool is_null() const { return kind_ == Kind::null; }
  const Json& at(std::string_view name) const;   // a member
  const Json* find(std::string_view name) const;  // a member, or nullptr
  const std::vector<Json>& items() const;
  const std::vector<std::pair<std::string, Json>>& members() const;
  const std::string& text() const;
  double number() const;
  int64_t whole(int64_t least, int64_t most) const;  // a whole number in a range
  bool truth() const;
  bool is_text() const { return kind_ == Kind::text; }

 private:
  friend class JsonReader;
  enum class Kind { null, truth, number, text, list, object };
  [[noreturn]] void wrong(const char* wanted) const;

  Kind kind_ = Kind::null;
  bool truth_ = false;
  double number_ = 0;
  std::string text_;
  std::vector<Json> items_;
  std::vector<std::pair<std::string, Json>> members_;
};

// A text as JSON writes it, with its quotes; what is no UTF-8 becomes "?".
std::string quoted(std::string_view text);

// A text for a terminal: what would steer it, and what is no UTF-8, becomes "?".
std::string plain(std::string_view text);

}  // namespace edgekit
