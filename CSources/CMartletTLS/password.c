#include "martlet_secret.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MD5_SIZE 16
#define SHA1_SIZE 20
/// What apr1 knows of a salt.
#define APR1_SALT 8

static int is_same(const char *a, const char *b) {
    size_t count = strlen(a);
    return count == strlen(b) && CRYPTO_memcmp(a, b, count) == 0;
}

/// MD5 of the given parts, one after the other.
struct part {
    const void *bytes;
    size_t count;
};

static int md5(EVP_MD_CTX *context, const struct part *parts, size_t count, uint8_t out[MD5_SIZE]) {
    int is_good = EVP_DigestInit_ex(context, EVP_md5(), NULL);
    for (size_t i = 0; i < count && is_good; i++) is_good = EVP_DigestUpdate(context, parts[i].bytes, parts[i].count);
    return is_good && EVP_DigestFinal_ex(context, out, NULL);
}

/// The first digest of apr1: password, marker, salt, then bytes chosen by the password's length.
static int apr1_begin(EVP_MD_CTX *context, struct part password, struct part salt, uint8_t digest[MD5_SIZE]) {
    const struct part twice[] = {password, salt, password};
    if (!md5(context, twice, 3, digest)) return 0;
    const uint8_t inner[MD5_SIZE] = {0};
    uint8_t mixed[MD5_SIZE];
    memcpy(mixed, digest, MD5_SIZE);
    int is_good = EVP_DigestInit_ex(context, EVP_md5(), NULL) &&
                  EVP_DigestUpdate(context, password.bytes, password.count) &&
                  EVP_DigestUpdate(context, "$apr1$", 6) && EVP_DigestUpdate(context, salt.bytes, salt.count);
    for (size_t left = password.count; left > 0 && is_good; left -= left < MD5_SIZE ? left : MD5_SIZE)
        is_good = EVP_DigestUpdate(context, mixed, left < MD5_SIZE ? left : MD5_SIZE);
    for (size_t bits = password.count; bits > 0 && is_good; bits >>= 1)
        is_good = EVP_DigestUpdate(context, bits & 1 ? (const void *)inner : password.bytes, 1);
    return is_good && EVP_DigestFinal_ex(context, digest, NULL);
}

/// Six bits a character, the lowest first.
static char *apr1_digits(char *out, uint32_t value, int count) {
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (; count > 0; count--, value >>= 6) *out++ = digits[value & 63];
    return out;
}

/// Apache's variant of the MD5 hash: 22 characters into `out`, and an end.
static int apr1(EVP_MD_CTX *context, struct part password, struct part salt, char out[23]) {
    uint8_t digest[MD5_SIZE];
    if (!apr1_begin(context, password, salt, digest)) return 0;
    for (unsigned round = 0; round < 1000; round++) {
        const struct part before = {digest, MD5_SIZE};
        struct part parts[4];
        size_t count = 0;
        parts[count++] = round & 1 ? password : before;
        if (round % 3 != 0) parts[count++] = salt;
        if (round % 7 != 0) parts[count++] = password;
        parts[count++] = round & 1 ? before : password;
        if (!md5(context, parts, count, digest)) return 0;
    }
    for (int i = 0; i < 5; i++) {
        int last = i == 4 ? 5 : i + 12;
        uint32_t value = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 6] << 8 | digest[last];
        out = apr1_digits(out, value, 4);
    }
    *apr1_digits(out, digest[11], 2) = 0;
    return 1;
}

static int apr1_matches(const char *password, const char *hash) {
    const char *start = hash + 6;
    const char *end = strchr(start, '$');
    if (end == NULL) return -1;
    size_t salt = (size_t)(end - start);
    if (salt > APR1_SALT) salt = APR1_SALT;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char made[23];
    const struct part secret = {password, strlen(password)};
    int is_good = context != NULL && apr1(context, secret, (struct part){start, salt}, made);
    EVP_MD_CTX_free(context);
    return is_good ? is_same(made, end + 1) : -1;
}

/// `{SHA}` and the digest in base64.
static int sha_matches(const char *password, const char *hash) {
    uint8_t digest[SHA1_SIZE];
    unsigned size = SHA1_SIZE;
    if (EVP_Digest(password, strlen(password), digest, &size, EVP_sha1(), NULL) != 1) return -1;
    unsigned char text[4 * ((SHA1_SIZE + 2) / 3) + 1];
    EVP_EncodeBlock(text, digest, SHA1_SIZE);
    return is_same((const char *)text, hash + 5);
}

int mtls_password_matches(const char *password, const char *hash) {
    if (strncmp(hash, "$apr1$", 6) == 0) return apr1_matches(password, hash);
    if (strncmp(hash, "{SHA}", 5) == 0) return sha_matches(password, hash);
    if (hash[0] == '{') return -1;
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL) return -1;
    const char *made = crypt_r(password, hash, data);
    int result = made == NULL || made[0] == '*' ? -1 : is_same(made, hash);
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return result;
}
