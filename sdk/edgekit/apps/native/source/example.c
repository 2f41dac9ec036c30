/* The model inside a program of your own. In this folder:
 *   cc example.c -o example -L. -ledgekit -Wl,-rpath,'$ORIGIN' && ./example . golden/0.image.bin
 * With -DEMBED the program holds the manifest and the model itself, and needs the libraries alone. */
#include <stdio.h>
#include <stdlib.h>

#include "edgekit.h"

#ifdef EMBED
/* The assembler puts the files into the program; the model begins at a multiple of 16. */
__asm__(".section .rodata\n"
        ".balign 16\nmodel_begin: .incbin \"" EDGEKIT_MODEL "\"\nmodel_end:\n"
        "manifest_begin: .incbin \"manifest.json\"\nmanifest_end: .byte 0\n.text\n");
extern const char model_begin[], model_end[], manifest_begin[], manifest_end[];
#endif

static void check(edgekit_status status) {
  if (status == EDGEKIT_OK) return;
  fprintf(stderr, "%s\n", edgekit_message());
  exit(status);
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: %s FOLDER FILE\n", arguments[0]);
    return EDGEKIT_USAGE;
  }
  edgekit_model *model = NULL;
#ifdef EMBED
  check(edgekit_open_memory(manifest_begin, (size_t)(manifest_end - manifest_begin), model_begin,
                            (size_t)(model_end - model_begin), &model));
#else
  check(edgekit_open(arguments[1], &model));
#endif

  /* One sample of the first input: sizes that may vary are 1. */
  edgekit_tensor input, outputs[8];
  check(edgekit_describe(model, EDGEKIT_INPUTS, 0, &input));
  for (size_t i = 0; i < input.rank; ++i)
    if (input.sizes[i] < 0) input.sizes[i] = 1;

  FILE *file = fopen(arguments[2], "rb");
  static char values[1 << 24] __attribute__((aligned(64)));
  if (!file) {
    perror(arguments[2]);
    return EDGEKIT_INPUT;
  }
  input.data = values;
  input.bytes = fread(values, 1, sizeof values, file);
  fclose(file);

  const size_t given = edgekit_count(model, EDGEKIT_OUTPUTS);
  check(edgekit_run(model, &input, 1, outputs, given < 8 ? given : 8));
  const float *scores = outputs[0].data;
  for (size_t i = 0; i < outputs[0].bytes / sizeof(float); ++i) {
    const char *label = edgekit_label(model, i);
    printf("%s %.9g\n", label ? label : "-", scores[i]);
  }
  edgekit_close(model);
  return 0;
}
