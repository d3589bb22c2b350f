#include <stdlib.h>
#include <string.h>

#include "connection.h"

/// Puts ciphertext behind what waits.
static int keep(struct mtls_output *output, const uint8_t *bytes, size_t count) {
    if (count > output->size - output->count) {
        size_t size = output->count + count;
        uint8_t *larger = realloc(output->bytes, size);
        if (larger == NULL) return -1;
        output->bytes = larger;
        output->size = size;
    }
    memcpy(output->bytes + output->count, bytes, count);
    output->count += count;
    return 0;
}

static int write_output(BIO *bio, const char *bytes, size_t count, size_t *written) {
    struct mtls_output *output = BIO_get_data(bio);
    if (output->count == 0 && count <= output->room) {
        memcpy(output->lent, bytes, count);
        output->lent += count;
        output->room -= count;
    } else if (keep(output, (const uint8_t *)bytes, count) != 0) {
        return 0;
    }
    *written = count;
    return 1;
}

static long control_output(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    // All that is written is there; nothing else is asked of the last in a chain.
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ciphertext");
    if (made == NULL) return;
    if (BIO_meth_set_write_ex(made, write_output) == 1 && BIO_meth_set_ctrl(made, control_output) == 1) {
        method = made;
    } else {
        BIO_meth_free(made);
    }
}

BIO *mtls_output_new(struct mtls_output *output) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL) return NULL;
    BIO_set_data(bio, output);
    BIO_set_init(bio, 1);
    return bio;
}

size_t mtls_output_take(struct mtls_output *output, uint8_t *bytes, size_t capacity) {
    size_t taken = capacity < output->count ? capacity : output->count;
    if (taken == 0) return 0;
    memcpy(bytes, output->bytes, taken);
    output->count -= taken;
    memmove(output->bytes, output->bytes + taken, output->count);
    // A connection that waits keeps nothing.
    if (output->count == 0) mtls_output_free(output);
    return taken;
}

void mtls_output_free(struct mtls_output *output) {
    free(output->bytes);
    output->bytes = NULL;
    output->count = output->size = 0;
}
