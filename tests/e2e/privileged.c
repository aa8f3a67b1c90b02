/* A program with the setuid bit of root, as sudo is: from here on its user may not signal it.
 * It says its pid in the file that it is given, and lives until somebody with the right ends it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return 99;
    FILE *file = fopen(argv[1], "w");
    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
        return 98;
    alarm(300); /* should a test leave it */
    for (;;)
        pause();
}
