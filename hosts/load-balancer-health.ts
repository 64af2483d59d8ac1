/** The load balancer's own health, on the port of the site: 200 while a web server can serve. */
export const LOAD_BALANCER_HEALTH_PATH = "/load-balancer-health";
