/* Feeds 64-bit words from standard input, low half first, to a TestU01 battery.
 *
 *   cc -O2 testu01.c -o testu01 -ltestu01 -lm
 *   noise_words indices | ./testu01 small|crush|big NAME
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <TestU01.h>

static uint32_t buffer[1 << 14];
static size_t at, filled;

static unsigned int next(void) {
    if (at == filled) {
        filled = fread(buffer, sizeof buffer[0], sizeof buffer / sizeof buffer[0], stdin);
        at = 0;
        if (filled == 0) {
            fputs("standard input ended\n", stderr);
            exit(1);
        }
    }
    return buffer[at++];
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s small|crush|big NAME\n", argv[0]);
        return 1;
    }
    swrite_Basic = FALSE;
    unif01_Gen *generator = unif01_CreateExternGenBits(argv[2], next);
    if (strcmp(argv[1], "small") == 0)
        bbattery_SmallCrush(generator);
    else if (strcmp(argv[1], "crush") == 0)
        bbattery_Crush(generator);
    else
        bbattery_BigCrush(generator);
    unif01_DeleteExternGenBits(generator);
    return 0;
}
