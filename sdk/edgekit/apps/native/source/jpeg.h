/* A JPEG's pixels, by libjpeg, as Pillow decodes it. In plain C and in edgekit-run itself: the static library that Debian
 * ships can be linked into a program, not into a shared library. */
#ifndef EDGEKIT_JPEG_H
#define EDGEKIT_JPEG_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgekit_jpeg {
  int width, height, channels; /* 1: grey, 3: RGB */
  unsigned char *pixels;       /* of malloc */
  unsigned char *exif;         /* of malloc, without the mark before it; NULL if there is none */
  size_t exif_size;
  char message[256]; /* why it failed */
} edgekit_jpeg;

/* Returns whether it worked; pixels and exif are to be freed in any case. */
typedef int (*edgekit_jpeg_decoder)(const unsigned char *data, size_t size, size_t most_pixels, edgekit_jpeg *found);
int edgekit_decode_jpeg(const unsigned char *data, size_t size, size_t most_pixels, edgekit_jpeg *found);

#ifdef __cplusplus
}
#endif

#endif
