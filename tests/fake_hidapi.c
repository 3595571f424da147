/* A libhidapi for tests: every device is a UNIX SEQPACKET socket, one datagram one report, a closed socket unplugged.
 *
 * The environment variable FAKE_HIDAPI names a folder; its files `<anything>.<vendor>.<product>` (hexadecimal) are the
 * devices that are plugged in. A datagram `freeze:<ms>` makes the read that takes it hang, as a driver may. */

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wchar.h>

struct hid_device_info {
    char *path;
    unsigned short vendor_id;
    unsigned short product_id;
    wchar_t *serial_number;
    unsigned short release_number;
    wchar_t *manufacturer_string;
    wchar_t *product_string;
    unsigned short usage_page;
    unsigned short usage;
    int interface_number;
    struct hid_device_info *next;
    int bus_type;
};

typedef struct { int fd; int nonblock; } hid_device;

int hid_init(void) { return 0; }
int hid_exit(void) { return 0; }

void hid_free_enumeration(struct hid_device_info *devices) {
    while (devices) {
        struct hid_device_info *next = devices->next;
        free(devices->path);
        free(devices->product_string);
        free(devices->serial_number);
        free(devices);
        devices = next;
    }
}

struct hid_device_info *hid_enumerate(unsigned short vendor, unsigned short product) {
    const char *folder = getenv("FAKE_HIDAPI");
    struct hid_device_info *list = NULL;
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        unsigned v, p;
        const char *dot = strchr(entry->d_name, '.');
        if (!dot || sscanf(dot, ".%x.%x", &v, &p) != 2) continue;
        if ((vendor && vendor != v) || (product && product != p)) continue;
        struct hid_device_info *info = calloc(1, sizeof *info);
        size_t length = strlen(folder) + strlen(entry->d_name) + 2;
        info->path = malloc(length);
        snprintf(info->path, length, "%s/%s", folder, entry->d_name);
        info->vendor_id = v;
        info->product_id = p;
        info->product_string = wcsdup(L"A fake");
        info->serial_number = wcsdup(L"");
        info->usage_page = 1;
        info->usage = 8;
        info->next = list;
        list = info;
    }
    if (dir) closedir(dir);
    return list;
}

hid_device *hid_open_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (fd >= 0) close(fd);
        return NULL;
    }
    hid_device *device = calloc(1, sizeof *device);
    device->fd = fd;
    return device;
}

hid_device *hid_open(unsigned short vendor, unsigned short product, const wchar_t *serial) {
    (void)serial;
    struct hid_device_info *list = hid_enumerate(vendor, product);
    hid_device *device = list ? hid_open_path(list->path) : NULL;
    hid_free_enumeration(list);
    return device;
}

int hid_read_timeout(hid_device *device, unsigned char *data, size_t length, int milliseconds) {
    struct pollfd waiting = {.fd = device->fd, .events = POLLIN};
    int ready = poll(&waiting, 1, milliseconds);
    if (ready <= 0) return ready;
    ssize_t got = recv(device->fd, data, length, 0);
    if (got <= 0) return -1; /* the other side is gone: unplugged */
    if (got > 7 && !memcmp(data, "freeze:", 7)) {
        data[got] = 0;
        usleep(1000 * atoi((char *)data + 7));
        return 0;
    }
    return (int)got;
}

int hid_read(hid_device *device, unsigned char *data, size_t length) {
    return hid_read_timeout(device, data, length, device->nonblock ? 0 : -1);
}

int hid_set_nonblocking(hid_device *device, int nonblock) {
    device->nonblock = nonblock;
    return 0;
}

int hid_write(hid_device *device, const unsigned char *data, size_t length) {
    return (int)send(device->fd, data, length, MSG_NOSIGNAL);
}

void hid_close(hid_device *device) {
    close(device->fd);
    free(device);
}

const wchar_t *hid_error(hid_device *device) {
    (void)device;
    return L"no";
}

static int none(wchar_t *string, size_t length) {
    if (length) string[0] = 0;
    return 0;
}

int hid_send_feature_report(hid_device *d, const unsigned char *b, size_t n) { (void)d; (void)b; (void)n; return -1; }
int hid_get_feature_report(hid_device *d, unsigned char *b, size_t n) { (void)d; (void)b; (void)n; return -1; }
int hid_get_manufacturer_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return none(s, n); }
int hid_get_product_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return none(s, n); }
int hid_get_serial_number_string(hid_device *d, wchar_t *s, size_t n) { (void)d; return none(s, n); }
int hid_get_indexed_string(hid_device *d, int i, wchar_t *s, size_t n) { (void)d; (void)i; return none(s, n); }
