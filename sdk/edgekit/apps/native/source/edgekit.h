/* Run a bundle's model in a program of your own. Link with libedgekit.so, which lies beside this file.
 *
 * Every function that can fail returns a status, and edgekit_message() says in one line what is wrong. A model is used
 * by one thread at a time; several models may be used at once. All memory belongs to the model. */
#ifndef EDGEKIT_H
#define EDGEKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit codes of edgekit-run as well. */
typedef enum edgekit_status {
  EDGEKIT_OK = 0,
  EDGEKIT_OTHER = 1,      /* nobody foresaw it */
  EDGEKIT_USAGE = 2,      /* the command line, or an argument of a function, is wrong */
  EDGEKIT_INPUT = 6,      /* an input has the wrong size or type, or cannot be read */
  EDGEKIT_RUN = 10,       /* the runtime fails, or lacks memory */
  EDGEKIT_DAMAGED = 11,   /* the model, the manifest or a golden vector is damaged or missing */
  EDGEKIT_LIBRARY = 12,   /* a library of the folder is missing */
  EDGEKIT_KERNEL = 15,    /* the runtime lacks a kernel or a backend that the model needs */
  EDGEKIT_UNEQUAL = 20    /* the self-test computes something else than the build did */
} edgekit_status;

typedef enum edgekit_side { EDGEKIT_INPUTS = 0, EDGEKIT_OUTPUTS = 1 } edgekit_side;

#define EDGEKIT_MOST_DIMENSIONS 16

typedef struct edgekit_tensor {
  const char *name;
  const char *dtype; /* "float32", "float16", "int64", "int32", "uint8", "int8" or "bool" */
  size_t rank;
  int64_t sizes[EDGEKIT_MOST_DIMENSIONS]; /* described by edgekit_describe, a size that may vary is -1 */
  const void *data; /* in C order, little-endian */
  size_t bytes;
} edgekit_tensor;

typedef struct edgekit_model edgekit_model;

#pragma GCC visibility push(default)

/* Says what went wrong in this thread's last call that failed; never NULL. */
const char *edgekit_message(void);

/* Opens a folder that holds manifest.json and the model that it names, and checks the model's digest. */
edgekit_status edgekit_open(const char *folder, edgekit_model **model);

/* Opens a model that the program holds itself, with the text of its manifest. Nothing is copied: the model's bytes must
 * stay, at an address that is a multiple of 16, until the model is closed. */
edgekit_status edgekit_open_memory(const char *manifest, size_t manifest_bytes, const void *data, size_t bytes,
                                   edgekit_model **model);

/* Takes NULL as well. */
void edgekit_close(edgekit_model *model);

/* How many inputs or outputs there are, and what each of them is, without data. */
size_t edgekit_count(const edgekit_model *model, edgekit_side side);
edgekit_status edgekit_describe(const edgekit_model *model, edgekit_side side, size_t index, edgekit_tensor *tensor);

/* Turns a decoded picture into the model's input as the manifest says, to the bit as the build did. The pixels are rows
 * of 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel; orientation is EXIF's, 1 is upright. The input is good until the next
 * call of this function for the model. */
edgekit_status edgekit_picture(edgekit_model *model, const uint8_t *pixels, int width, int height, int channels,
                               int orientation, edgekit_tensor *input);

/* Computes. The inputs come in the manifest's order, with sizes, data and bytes set; so do the outputs, whose data is
 * good until the next call for the model. */
edgekit_status edgekit_run(edgekit_model *model, const edgekit_tensor *inputs, size_t input_count,
                           edgekit_tensor *outputs, size_t output_count);

/* The name of a class, or NULL if there is none. */
const char *edgekit_label(const edgekit_model *model, size_t index);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* EDGEKIT_H */
