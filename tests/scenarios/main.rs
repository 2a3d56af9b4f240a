mod haproxy;
