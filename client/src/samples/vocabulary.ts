/** What people say in the sample calls. `{slot}` is filled from SLOTS; topics are the vaults that calls of that kind go to. */

export const PEOPLE = [
  'Amara Okafor',
  'Ben Whitfield',
  'Chiara Ricci',
  'Daniel Osei',
  'Elif Yilmaz',
  'Farid Rahimi',
  'Grace Lindqvist',
  'Hugo Martin',
  'Ines Carvalho',
  'Jonas Weber',
  'Keiko Tanaka',
  'Liam Doherty',
  'Mina Park',
  'Noah Fischer',
  'Olga Petrova',
  'Priya Raman',
  'Quentin Dubois',
  'Rosa Delgado',
  'Samir Haddad',
  'Tove Nilsen',
  'Uma Krishnan',
  'Victor Alves',
  'Wanda Kowalska',
  'Xin Zhao',
  'Yusuf Demir',
  'Zoe Papadakis',
] as const;

/** The other side of a call. */
export const COMPANIES = [
  'Northwind',
  'Lakeside Dental',
  'Harbor Freightlines',
  'Pinecrest School',
  'Solstice Energy',
  'Meridian Bank',
  'Copperfield Books',
  'Aster Clinics',
  'Bluebell Foods',
  'Tidewater Hotels',
  'Granite Insurance',
  'Juniper Labs',
] as const;

export const SLOTS: Readonly<Record<string, readonly string[]>> = {
  company: COMPANIES,
  person: PEOPLE.map((name) => name.split(' ')[0] as string),
  day: [
    'Monday',
    'Tuesday',
    'Wednesday',
    'Thursday',
    'Friday',
    'the end of the month',
    'next week',
    'the first of the quarter',
  ],
  number: ['three', 'five', 'eight', 'twelve', 'twenty', 'forty', 'about a hundred', 'two hundred and fifty'],
  amount: ['nine thousand', 'eighteen thousand', 'forty-two thousand', 'a hundred and ten thousand', 'half a million'],
  feature: [
    'single sign-on',
    'the audit log',
    'bulk export',
    'the mobile app',
    'role based access',
    'the reporting page',
    'webhooks',
    'the calendar sync',
    'search',
    'the import wizard',
  ],
  metric: [
    'churn',
    'activation',
    'response time',
    'gross margin',
    'net retention',
    'the backlog',
    'time to first value',
    'error rate',
  ],
  tool: [
    'the spreadsheet',
    'the ticket system',
    'the data warehouse',
    'the old portal',
    'the shared inbox',
    'the staging environment',
  ],
  adjective: ['straightforward', 'urgent', 'expensive', 'promising', 'risky', 'overdue', 'realistic', 'confusing'],
  role: [
    'backend engineer',
    'account manager',
    'designer',
    'data analyst',
    'support lead',
    'site reliability engineer',
  ],
};

/** Said in calls of every kind. */
export const SMALL_TALK = [
  'Can everybody hear me all right?',
  'Let me share my screen for a moment.',
  'Thanks for making the time today, I know {day} is busy.',
  'Sorry, I was on mute, what I said is that this looks {adjective} to me.',
  'I will write that down and send it around after the call.',
  'Could you repeat the last part, the line was not clear.',
  'Before we go on, did anything change since we spoke on {day}?',
  'I agree with {person} on that.',
  'Let us park this and come back to it at the end.',
  'So the action for me is to follow up with {person} by {day}.',
  'That is fair, and I would rather hear it now than later.',
  'We have about {number} minutes left, so let us move on.',
] as const;

export interface Topic {
  vaults: readonly string[];
  titles: readonly string[];
  summaries: readonly string[];
  sentences: readonly string[];
}

export const TOPICS: readonly Topic[] = [
  {
    vaults: ['sales'],
    titles: [
      'Discovery call with {company}',
      'Pricing discussion: {company}',
      '{company}: contract negotiation',
      'Demo for {company}',
      'Renewal check-in with {company}',
    ],
    summaries: [
      '{company} is looking at {number} seats; pricing and {feature} decide. Next steps agreed for {day}.',
      'Walked {company} through {feature}. Budget of {amount}; contract goes to legal.',
    ],
    sentences: [
      'The pricing we talked about was {amount} a year for {number} seats.',
      'Our procurement team needs the contract before {day}, otherwise it slips into the next quarter.',
      'If we sign for two years, what kind of discount would you consider?',
      'The main thing that {company} is missing today is {feature}.',
      'We compared three vendors, and yours is the only one with {feature}.',
      'The security review usually takes {number} days on our side.',
      'Who else has to approve a budget of {amount}?',
      'The renewal is due on {day}, and I would like to settle the terms before that.',
      'Could you send a proposal with {number} seats and another with twice as many?',
      'Honestly the onboarding was the reason why we left the other provider.',
      'Legal asked for a change in the liability clause, nothing {adjective}.',
      'Then the next steps are a trial with {number} users and a call on {day}.',
    ],
  },
  {
    vaults: ['support'],
    titles: [
      'Escalation: {feature} at {company}',
      'Support review with {company}',
      'Incident follow-up with {company}',
      'Onboarding session {company}',
    ],
    summaries: [
      '{company} reported trouble with {feature}; workaround in place, fix promised by {day}.',
      'Reviewed {number} open tickets with {company}; {metric} improved.',
    ],
    sentences: [
      'Since the update on {day}, {feature} fails for {number} of our users.',
      'I can reproduce it in {tool}, but only with an empty date.',
      'The workaround is to clear the cache and sign in again.',
      'We opened a ticket on {day} and did not hear back.',
      'Can you tell me which browser and which version they use?',
      'The logs show a timeout between {tool} and the database.',
      'I will raise the priority, because {company} cannot invoice without it.',
      'The fix is in review and will be deployed on {day}.',
      'What helped last time was to restart the sync from {tool}.',
      'Our {metric} went up after the incident, so people notice.',
      'Let us look at the {number} tickets that are still open.',
      'I would like a short written explanation that I can forward to {person}.',
    ],
  },
  {
    vaults: ['product'],
    titles: [
      'Roadmap review',
      'Design critique: {feature}',
      'Sprint planning',
      'User interview with {company}',
      'Retrospective',
    ],
    summaries: [
      'Decided to ship {feature} first; {metric} is the measure. {person} owns the rollout.',
      'Talked with {company} about how they use {feature}; {number} findings.',
    ],
    sentences: [
      'In the interviews {number} out of ten people asked for {feature}.',
      'If we ship {feature} first, {metric} should move within a month.',
      'The prototype is {adjective}, but the second step confuses people.',
      'What do we cut when {feature} takes {number} days longer?',
      'I would rather have one thing that works than three that almost do.',
      'The migration touches {tool}, so we need a plan to roll back.',
      'Let us write down what we expect before we look at the numbers.',
      '{person} found that most users never open {feature} at all.',
      'We agreed to measure {metric} and not the number of clicks.',
      'The estimate for {feature} is {number} days for two people.',
      'There is a dependency on {tool} that nobody owns.',
      'Can we test it with {company} before {day}?',
    ],
  },
  {
    vaults: ['hiring', 'leadership', 'board'],
    titles: ['Interview: {role}', 'Leadership weekly', 'Board preparation', 'Quarterly review', 'Budget planning'],
    summaries: [
      'Went through {metric} and the plan for the quarter; budget of {amount} open until {day}.',
      'Interview for {role}; {person} recommends to go on.',
    ],
    sentences: [
      'The plan has {amount} for hiring, and we spent {number} percent of it.',
      'For the {role} we have {number} applications and two that stand out.',
      'Tell me about a project that did not go the way you wanted.',
      'The board will ask about {metric} before anything else.',
      'Cash is fine until the end of the year, with {amount} as a reserve.',
      'I would like {person} to present this part on {day}.',
      'What would you do differently if you started in this role again?',
      'We missed the target on {metric}, and the reason is {adjective}.',
      'The offer goes out on {day} if the references are good.',
      'Let us not promise {feature} to investors before it is tested.',
      'The candidate asked good questions about how we make decisions.',
      'Our risk register has {number} entries, and the first is {adjective}.',
    ],
  },
];

/**
 * Words planted into a known share of the calls, so that a search can be counted by hand. None is an English word form of another
 * in the vocabulary, and none is said otherwise.
 */
export const MARKERS: readonly { word: string; share: number; sentence: string }[] = [
  {
    word: 'kingfisher',
    share: 0.004,
    sentence: 'The internal name of that project is kingfisher, please keep it to yourselves.',
  },
  { word: 'escrow', share: 0.03, sentence: 'They want the source code in escrow before they sign.' },
  { word: 'telemetry', share: 0.12, sentence: 'We would have to look at the telemetry to be sure.' },
];
