// The pages that the head of each page leads to; addresses are relative to any of them.

export const PAGES = [
  { name: "queues", title: "Queues", href: "../console/#/" },
  { name: "dead-letters", title: "Dead letters", href: "../console/#/dead-letters" },
  { name: "schedules", title: "Schedules", href: "../console/#/schedules" },
  { name: "server", title: "Server", href: "../console/#/server" },
  { name: "access", title: "Access", href: "../console/#/access", isForAdmins: true },
  { name: "docs", title: "API", href: "../docs/" },
];
