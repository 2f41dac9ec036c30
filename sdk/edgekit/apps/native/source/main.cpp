// The command line of edgekit-run.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

#include "failure.h"
#include "json.h"
#include "main.h"
#include "picture.h"
#include "verbs.h"

namespace edgekit {

namespace {

constexpr char kHelp[] =
    "edgekit-run VERB [OPTIONS]\n"
    "\n"
    "  selftest   compute the golden vectors, and compare\n"
    "  predict    compute an input: --input FILE, or --input NAME=FILE for each of several\n"
    "  bench      time the model: --runs 100, --warmup 10, --input FILE in place of a golden vector\n"
    "  trace      time each operation, as the runtime itself tells it: --runs 100\n"
    "  info       say what the model takes and gives\n"
    "\n"
    "  --input FILE     a picture (PNG, PNM, JPEG), an .npy, or raw little-endian values (.bin, .raw)\n"
    "  --output FOLDER  write each output there as NAME.npy; with trace, what the runtime writes meanwhile\n"
    "  --top N          classes, or values, to print: 5\n"
    "  --folder FOLDER  the model's folder; the one that this program lies in unless given\n"
    "  --json           print JSON\n"
    "\n"
    "Exit codes: 0 done, 2 usage, 6 input, 10 runtime, 11 damaged or missing file, 12 missing library,\n"
    "15 missing kernel, 20 the self-test failed.\n";

size_t number(const std::string& option, const char* text, size_t least) {
  size_t found = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, found);
  if (error != std::errc() || stop != end || found < least || found > 100000000)
    fail(EDGEKIT_USAGE, option + " takes a whole number from " + std::to_string(least) + ", not " + text);
  return found;
}

Given given(const std::string& text) {
  const size_t sign = text.find('=');
  const std::string name = text.substr(0, sign);
  const bool named = sign != std::string::npos && name.find_first_of("/.") == std::string::npos;
  return named ? Given{name, text.substr(sign + 1)} : Given{"", text};
}

Asked parse(int count, char** arguments, const std::string& folder) {
  Asked found;
  found.folder = folder;
  for (int i = 2; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "--json") {
      found.json = true;
      continue;
    }
    const bool known = option == "--input" || option == "--output" || option == "--top" || option == "--folder" ||
                       option == "--runs" || option == "--warmup";
    if (!known) fail(EDGEKIT_USAGE, "there is no option " + option + "; see edgekit-run --help");
    if (++i == count) fail(EDGEKIT_USAGE, option + " takes a value");
    if (option == "--input") found.inputs.push_back(given(arguments[i]));
    if (option == "--output") found.output = arguments[i];
    if (option == "--folder") found.folder = arguments[i];
    if (option == "--top") found.top = number(option, arguments[i], 1);
    if (option == "--runs") found.runs = static_cast<int>(number(option, arguments[i], 1));
    if (option == "--warmup") found.warmup = static_cast<int>(number(option, arguments[i], 0));
  }
  return found;
}

int run(int count, char** arguments, const std::string& folder) {
  const std::string verb = count > 1 ? arguments[1] : "";
  if (verb == "--help" || verb == "-h" || verb == "help") {
    std::fputs(kHelp, stdout);
    return EDGEKIT_OK;
  }
  bool passed = true;
  std::string text;
  if (verb == "info") text = info(parse(count, arguments, folder));
  else if (verb == "predict") text = predict(parse(count, arguments, folder));
  else if (verb == "selftest") text = selftest(parse(count, arguments, folder), passed);
  else if (verb == "bench") text = bench(parse(count, arguments, folder));
  else if (verb == "trace") text = trace(parse(count, arguments, folder));
  else fail(EDGEKIT_USAGE, (verb.empty() ? "say what to do" : "there is no verb " + verb) + std::string(": selftest, predict, bench, trace, info; see --help"));
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) fail(EDGEKIT_OTHER, "standard output cannot be written");
  return passed ? EDGEKIT_OK : EDGEKIT_UNEQUAL;
}

}  // namespace

}  // namespace edgekit

extern "C" int edgekit_main(int count, char** arguments, const char* folder, edgekit_jpeg_decoder jpeg) {
  edgekit::use_jpeg(jpeg);
  try {
    return edgekit::run(count, arguments, folder);
  } catch (const edgekit::Failure& failure) {
    std::fprintf(stderr, "edgekit-run: %s\n", edgekit::plain(failure.what()).c_str());
    return failure.status;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "edgekit-run: there is not enough memory\n");
    return EDGEKIT_RUN;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "edgekit-run: %s\n", edgekit::plain(error.what()).c_str());
    return EDGEKIT_OTHER;
  }
}
