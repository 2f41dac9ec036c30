// edgekit-run itself: it needs the C library alone, so that it can say which of the folder's libraries is missing.
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "edgekit.h"
#include "jpeg.h"

#ifndef __SANITIZE_ADDRESS__
// A model whose digest is right and whose content is hostile may make the runtime itself crash: that is said in one line.
static void on_crash(int) {
  static const char line[] = "edgekit-run: the runtime itself crashes on this model or input\n";
  const ssize_t ignored = write(STDERR_FILENO, line, sizeof line - 1);
  (void)ignored;
  _exit(EDGEKIT_RUN);
}

static void watch_crashes() {
  static char stack[65536];
  const stack_t other = {stack, 0, sizeof stack};
  sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK;
  const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
  for (const int one : signals) sigaction(one, &action, nullptr);
}
#else
static void watch_crashes() {}  // the sanitizer says more
#endif

// The folder that this program lies in; where /proc is not mounted, by the name that it was started by.
static bool find_folder(char* folder) {
  const ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
  const char* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (length > 0)
    folder[length] = 0;
  else if (name == nullptr || realpath(name, folder) == nullptr)
    return false;
  char* last = strrchr(folder, '/');
  if (last == nullptr) return false;
  *last = 0;
  return true;
}

int main(int count, char** arguments) {
  char folder[PATH_MAX];
  if (!find_folder(folder)) {
    fputs("edgekit-run: its own folder cannot be found\n", stderr);
    return EDGEKIT_LIBRARY;
  }
  watch_crashes();
  char library[sizeof folder + 32];
  snprintf(library, sizeof library, "%s/libedgekit.so", folder);
  void* opened = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (!opened) {
    fprintf(stderr, "edgekit-run: a library cannot be loaded, copy the whole folder: %s\n", dlerror());
    return EDGEKIT_LIBRARY;
  }
  int (*run)(int, char**, const char*, edgekit_jpeg_decoder) = nullptr;
  *reinterpret_cast<void**>(&run) = dlsym(opened, "edgekit_main");
  if (!run) {
    fputs("edgekit-run: libedgekit.so is another one; copy the whole folder\n", stderr);
    return EDGEKIT_LIBRARY;
  }
  #ifdef EDGEKIT_JPEG
  const edgekit_jpeg_decoder jpeg = edgekit_decode_jpeg;
#else
  const edgekit_jpeg_decoder jpeg = nullptr;
#endif
  return run(count, arguments, folder[0] ? folder : "/", jpeg);
}
