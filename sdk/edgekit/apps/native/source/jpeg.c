#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct handler {
  struct jpeg_error_mgr base;
  jmp_buf back;
  char *message;
} handler;

static void on_error(j_common_ptr info) {
  handler *own = (handler *)info->err;
  own->base.format_message(info, own->message);
  longjmp(own->back, 1);
}

/* What is damaged but could be guessed is refused: a build would not take it either. */
static void on_message(j_common_ptr info, int level) {
  if (level < 0) on_error(info);
}

static void refuse(handler *own, const char *why) {
  strcpy(own->message, why);
  longjmp(own->back, 1);
}

static void keep_exif(const struct jpeg_decompress_struct *info, edgekit_jpeg *found) {
  const struct jpeg_marker_struct *marker;
  for (marker = info->marker_list; marker; marker = marker->next) {
    if (marker->data_length <= 6 || memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
    found->exif_size = marker->data_length - 6;
    found->exif = malloc(found->exif_size);
    if (found->exif) memcpy(found->exif, marker->data + 6, found->exif_size);
    return;
  }
}

int edgekit_decode_jpeg(const unsigned char *data, size_t size, size_t most_pixels, edgekit_jpeg *found) {
  struct jpeg_decompress_struct info;
  handler own;
  memset(found, 0, sizeof *found);
  memset(&info, 0, sizeof info);
  own.message = found->message;
  info.err = jpeg_std_error(&own.base);
  own.base.error_exit = on_error;
  own.base.emit_message = on_message;
  if (setjmp(own.back)) {
    jpeg_destroy_decompress(&info);
    return 0;
  }
  jpeg_create_decompress(&info);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if ((size_t)info.image_width * info.image_height > most_pixels) refuse(&own, "it has too many pixels");
  if (info.num_components != 1 && info.num_components != 3) refuse(&own, "it is neither grey nor of three colours");
  info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&info);
  found->width = (int)info.output_width;
  found->height = (int)info.output_height;
  found->channels = info.output_components;
  const size_t row = (size_t)info.output_width * (size_t)info.output_components;
  found->pixels = malloc(row * info.output_height);
  if (!found->pixels) refuse(&own, "there is not enough memory");
  while (info.output_scanline < info.output_height) {
    JSAMPROW line = found->pixels + row * info.output_scanline;
    jpeg_read_scanlines(&info, &line, 1);
  }
  keep_exif(&info, found);
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return 1;
}
